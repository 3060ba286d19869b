//! How a batch of images is cut into jobs, and the window of scratch memory that a job works in.
//!
//! A job is some rows of 4×4 tiles of one image, or several whole images where they are small. Its
//! pixels lie together in the batch. It reads them through a *window*: a copy with one pixel around,
//! zero where the image ends, cut into planes of one vector of channels each. So every tile is read
//! at the same steps, there is no edge to look out for, and what goes before a convolution (a
//! normalization, say) is done where the copy is made.

use std::ops::Range;

use crate::simd::lanes;

/// Tiles that a job takes of an image, about. Fewer, and the rows around them weigh more.
const TILES: usize = 32;
/// Tiles for which it takes several images: as many as the product takes at once.
const FEW: usize = 16;

/// The jobs of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Strips {
    batch: usize,
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// Tiles down an image.
    down: usize,
    /// Tiles across an image.
    across: usize,
    /// Images of a job, more than one only if it takes them whole.
    images: usize,
    /// Tile rows that a job takes of an image.
    rows: usize,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    /// Its first image, and how many there are.
    image: usize,
    images: usize,
    /// The first pixel row that it takes of each, and how many.
    pub(crate) top: usize,
    pub(crate) rows: usize,
}

/// Sizes of a window, in numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    /// From one row of pixels to the next.
    pub(crate) row: usize,
    /// From one vector of channels to the next.
    pub(crate) plane: usize,
}

impl Strips {
    pub(crate) fn new(batch: usize, [height, width]: [usize; 2]) -> Self {
        let (down, across) = (height.div_ceil(4), width.div_ceil(4));
        let rows = (TILES / across.max(1)).clamp(1, down.max(1));
        let images = if rows < down { 1 } else { (FEW / (down * across).max(1)).max(1) };
        Self { batch, height, width, down, across, images, rows }
    }

    pub(crate) fn jobs(&self) -> usize {
        if self.images > 1 {
            self.batch.div_ceil(self.images)
        } else {
            self.batch * self.down.div_ceil(self.rows)
        }
    }

    pub(crate) fn job(&self, index: usize) -> Job {
        let per_image = self.down.div_ceil(self.rows);
        let image = if self.images > 1 { index * self.images } else { index / per_image };
        let top = if self.images > 1 { 0 } else { index % per_image * self.rows * 4 };
        Job {
            image,
            images: self.images.min(self.batch - image),
            top,
            rows: (4 * self.rows).min(self.height - top),
        }
    }

    /// Pixels of the batch.
    pub(crate) fn batch_pixels(&self) -> usize {
        self.batch * self.height * self.width
    }

    /// Tiles of a job.
    pub(crate) fn tiles(&self, job: &Job) -> usize {
        job.images * job.rows.div_ceil(4) * self.across
    }

    /// The pixels of a job, counted over the batch.
    pub(crate) fn pixels(&self, job: &Job) -> Range<usize> {
        let first = (job.image * self.height + job.top) * self.width;
        let per_image = if job.images > 1 { self.height } else { job.rows };
        first..first + job.images * per_image * self.width
    }

    /// Cuts rows of `channels` for each pixel of the batch into those of each job.
    pub(crate) fn cut<'a>(&self, mut pixels: &'a mut [f32], channels: usize) -> Vec<&'a mut [f32]> {
        (0..self.jobs())
            .map(|index| {
                let taken = self.pixels(&self.job(index)).len() * channels;
                let (part, rest) = std::mem::take(&mut pixels).split_at_mut(taken);
                pixels = rest;
                part
            })
            .collect()
    }

    /// The window with `around` pixels around the tiles, 0 or 1.
    pub(crate) fn window(&self, around: usize) -> Window {
        let row = (4 * self.across + 2 * around) * lanes();
        Window { row, plane: self.images * (4 * self.rows + 2 * around) * row }
    }

    /// The first pixel in a window without pixels around.
    pub(crate) fn first_pixel(&self, window: &[f32], channels: usize) -> Vec<f32> {
        let (lanes, plane) = (lanes(), self.window(0).plane);
        (0..channels).map(|channel| window[channel / lanes * plane + channel % lanes]).collect()
    }

    /// Where each tile of a whole job begins in its window.
    pub(crate) fn origins(&self, around: usize) -> Vec<usize> {
        let window = self.window(around);
        let mut origins = Vec::with_capacity(self.images * self.rows * self.across);
        for image in 0..self.images {
            for row in 0..self.rows {
                let line = image * (4 * self.rows + 2 * around) + 4 * row;
                origins.extend((0..self.across).map(|tile| line * window.row + 4 * tile * lanes()));
            }
        }
        origins
    }

    /// For each row of a job's window: where it begins there, and its row of pixels in the batch, if
    /// the image has it. Rows above and below the job's own are among them if there is one `around`.
    pub(crate) fn lines(
        &self,
        job: &Job,
        around: usize,
    ) -> impl Iterator<Item = (usize, Option<usize>)> {
        let (strips, job) = (*self, *job);
        let (tall, row) = (4 * strips.rows + 2 * around, strips.window(around).row);
        (0..job.images * tall).map(move |line| {
            let y = (job.top + line % tall).wrapping_sub(around);
            let own = around == 1 || y < job.top + job.rows;
            let pixels = || (job.image + line / tall) * strips.height + y;
            (line * row, (y < strips.height && own).then(pixels))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jobs_cut_the_batch_into_all_its_pixels_and_tiles() {
        let sizes = [[1, 1], [9, 5], [8, 8], [4, 270], [32, 32], [16, 16], [33, 6]];
        for (batch, size) in [0, 1, 2, 3, 20].into_iter().flat_map(|n| sizes.map(|size| (n, size)))
        {
            let strips = Strips::new(batch, size);
            let numbers = batch * size[0] * size[1] * 3;
            let mut pixels = vec![0.0; numbers];
            let parts = strips.cut(&mut pixels, 3);
            assert_eq!(parts.iter().map(|part| part.len()).sum::<usize>(), numbers);
            let mut tiles = 0;
            let mut rows = Vec::new();
            for (index, part) in parts.iter().enumerate() {
                let job = strips.job(index);
                tiles += strips.tiles(&job);
                assert!(strips.tiles(&job) <= strips.origins(1).len());
                assert_eq!(strips.pixels(&job).len() * 3, part.len());
                let own = strips.lines(&job, 0).filter_map(|(_, row)| row);
                rows.extend(own);
            }
            assert_eq!(tiles, batch * size[0].div_ceil(4) * size[1].div_ceil(4));
            assert_eq!(rows, (0..batch * size[0]).collect::<Vec<_>>());
        }
    }
}
