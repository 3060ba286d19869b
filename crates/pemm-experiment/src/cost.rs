//! What training on one sample costs, from the shapes of a network alone: the values that are kept for
//! the way back. They decide how much memory a run needs long before it asks for it.

use pemm_data::Shape;

use crate::backbones::{BackboneKind, cnn_channels};

/// Values that a network keeps of each sample of a step.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Kept {
    /// Over all layers: what each convolution gives, and what its BatchNorm and ReLU make of it where that is kept.
    pub all: f64,
    /// Of the largest layer, whose gradient stands beside it for a moment.
    pub largest: f64,
}

/// Counts layer by layer, from the image on.
struct Count {
    height: usize,
    width: usize,
    kept: Kept,
}

impl Count {
    fn of(shape: Shape) -> Self {
        let kept = Kept { all: shape.len() as f64, largest: 0.0 };
        Self { height: shape.height, width: shape.width, kept }
    }

    /// A convolution of this stride to so many channels, with BatchNorm and ReLU.
    fn convolution(&mut self, channels: usize, stride: usize) {
        self.height = self.height.div_ceil(stride);
        self.width = self.width.div_ceil(stride);
        let values = channels as f64 * self.height as f64 * self.width as f64;
        self.kept.all += 2.0 * values;
        self.kept.largest = self.kept.largest.max(values);
    }

    /// Such a convolution, whose output nobody needs on the way back.
    fn once(&mut self, channels: usize, stride: usize) {
        self.convolution(channels, stride);
        self.kept.all -= channels as f64 * self.height as f64 * self.width as f64;
    }

    /// The way around a block, of what the block's own way sees too.
    fn beside(&mut self, channels: usize, stride: usize) {
        let [height, width] = [self.height, self.width];
        self.once(channels, stride);
        [self.height, self.width] = [height, width];
    }

    /// A convolution and 2×2 max pooling in the same pass: what is kept of it is a quarter.
    fn pooled(&mut self, channels: usize) {
        let values = channels as f64 * self.height as f64 * self.width as f64;
        self.convolution(channels, 1);
        self.kept.all -= 0.75 * values;
        (self.height, self.width) = (self.height / 2, self.width / 2);
    }

    fn vector(&mut self, len: usize) {
        self.kept.all += 2.0 * len as f64;
    }
}

impl BackboneKind {
    /// What it keeps of a sample of `shape` at `width`.
    pub fn kept(self, width: usize, shape: Shape) -> Kept {
        let mut count = Count::of(shape);
        match self {
            Self::Cnn => {
                for channels in cnn_channels(width, shape) {
                    count.convolution(channels, 1);
                    count.pooled(channels);
                }
            }
            Self::Cnn8 => {
                for channels in [width, width.saturating_mul(2), width.saturating_mul(49) / 16] {
                    count.convolution(channels, 1);
                    count.pooled(channels);
                }
                count.vector(width.saturating_mul(4));
            }
            Self::Mlp => [width; 2].into_iter().for_each(|len| count.vector(len)),
            Self::Hidden => count.vector(width),
            Self::None => {}
            Self::Resnet20 => small_resnet(&mut count, 20),
            Self::Resnet32 => small_resnet(&mut count, 32),
            Self::Resnet44 => small_resnet(&mut count, 44),
            Self::Resnet56 => small_resnet(&mut count, 56),
            Self::Resnet34 => {
                count.convolution(64, 1);
                for (channels, num) in [(64, 3), (128, 4), (256, 6), (512, 3)] {
                    for place in 0..num {
                        let halves = channels > 64 && place == 0;
                        if halves {
                            // The way around, at the places that are left.
                            count.beside(channels, 2);
                        }
                        count.convolution(channels, if halves { 2 } else { 1 });
                        count.convolution(channels, 1);
                    }
                }
            }
            Self::Resnet50 => {
                count.once(64, 2);
                // The maximum of stride 2, and the place of each.
                (count.height, count.width) = (count.height.div_ceil(2), count.width.div_ceil(2));
                count.kept.all += 2.0 * 64.0 * count.height as f64 * count.width as f64;
                for (inner, num, stride) in [(64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)] {
                    for place in 0..num {
                        let stride = if place == 0 { stride } else { 1 };
                        if place == 0 {
                            count.beside(4 * inner, stride);
                        }
                        // Where the next convolution makes its input anew, what is between is not kept; the
                        // first one sees the places of the stage before.
                        match inner == 64 {
                            true => count.once(inner, 1),
                            false => count.convolution(inner, 1),
                        }
                        match inner < 512 {
                            true => count.once(inner, stride),
                            false => count.convolution(inner, stride),
                        }
                        count.convolution(4 * inner, 1);
                    }
                }
            }
        }
        count.kept
    }
}

fn small_resnet(count: &mut Count, depth: usize) {
    count.convolution(16, 1);
    for (stage, channels) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..(depth - 2) / 6 {
            match stage > 0 && block == 0 {
                true => count.convolution(channels, 2),
                // The normalized input of the second convolution is made where it is read.
                false => count.once(channels, 1),
            }
            count.convolution(channels, 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CIFAR: Shape = Shape { channels: 3, height: 32, width: 32 };

    #[test]
    fn what_was_measured_is_near() {
        let photograph = Shape { channels: 3, height: 224, width: 224 };
        // Growth of the whole process, MiB: some 30 of it whatever the network, and the momenta
        // (bench/results/speed.json, speed-resnet50.json).
        for (kind, width, shape, batch, parameters, measured) in [
            (BackboneKind::Cnn8, 64, CIFAR, 128, 1.6e6, 268.0),
            (BackboneKind::Cnn8, 16, CIFAR, 128, 0.1e6, 80.0),
            (BackboneKind::Resnet32, 0, CIFAR, 128, 0.5e6, 295.0),
            (BackboneKind::Resnet44, 0, CIFAR, 128, 0.7e6, 376.0),
            (BackboneKind::Resnet50, 0, photograph, 32, 23.5e6, 2525.0),
        ] {
            let kept = kind.kept(width, shape);
            let values = batch as f64 * (kept.all + kept.largest) + parameters;
            let share = (30.0 + 4.0 * values / f64::from(1 << 20)) / measured;
            assert!((0.9..1.1).contains(&share), "{kind:?} {width}: {share}");
        }
    }

    #[test]
    fn large_images_and_wide_networks_cost_more() {
        let large = Shape { channels: 3, height: 64, width: 64 };
        for &kind in BackboneKind::ALL {
            let (small, large) = (kind.kept(16, CIFAR), kind.kept(16, large));
            assert!(large.all > small.all, "{kind:?}");
            assert!(kind.kept(usize::MAX, CIFAR).all.is_finite(), "{kind:?}");
        }
    }
}
