//! Sizes of a convolution.

/// Sizes of a two-dimensional convolution without groups or dilation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Images.
    pub batch: usize,
    /// Channels of the input.
    pub channels_in: usize,
    /// Channels of the output.
    pub channels_out: usize,
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the filter, at least 1.
    pub kernel: [usize; 2],
    /// Steps of the filter down and right, at least 1.
    pub stride: [usize; 2],
    /// Zeros around the input: above and below, left and right.
    pub padding: [usize; 2],
}

impl Geometry {
    /// Height and width of the output: ⌊(input + 2·padding − kernel) / stride⌋ + 1, or 0 where the
    /// filter is larger than the padded input.
    pub fn output(&self) -> [usize; 2] {
        std::array::from_fn(|axis| {
            let room = self.input[axis] + 2 * self.padding[axis];
            if room < self.kernel[axis] || self.input[axis] == 0 {
                0
            } else {
                (room - self.kernel[axis]) / self.stride[axis] + 1
            }
        })
    }

    /// Numbers in the input.
    pub fn input_len(&self) -> usize {
        self.batch * self.input[0] * self.input[1] * self.channels_in
    }

    /// Numbers in the output.
    pub fn output_len(&self) -> usize {
        let [height, width] = self.output();
        self.batch * height * width * self.channels_out
    }

    /// Numbers in the weights.
    pub fn weight_len(&self) -> usize {
        self.channels_out * self.channels_in * self.kernel[0] * self.kernel[1]
    }

    /// Multiplications and additions of the plain definition, by which rates are quoted.
    pub fn flops(&self) -> f64 {
        let [height, width] = self.output();
        2.0 * (self.batch * height * width) as f64 * self.weight_len() as f64
    }

    /// Whether each output pixel has an input pixel of its own: a 1×1 filter of stride 1.
    pub(crate) fn is_flat(&self) -> bool {
        self.kernel == [1, 1] && self.stride == [1, 1] && self.padding == [0, 0]
    }

    /// The same numbers with all images below each other as one, where nothing sees where they meet.
    pub(crate) fn flat(&self) -> Self {
        if self.is_flat() {
            Self { batch: 1, input: [self.batch * self.input[0], self.input[1]], ..*self }
        } else {
            *self
        }
    }

    /// Height and width of the input with its zeros around.
    pub(crate) fn padded(&self) -> [usize; 2] {
        std::array::from_fn(|axis| self.input[axis] + 2 * self.padding[axis])
    }
}
