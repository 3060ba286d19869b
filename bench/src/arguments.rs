//! What the driver asks for: a task and `key=value` pairs, the same for both sides.

use std::path::PathBuf;

use pemm::backbone::BackboneKind;
use pemm_data::Shape;

#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) task: String,
    pub(crate) threads: Option<usize>,
    pub(crate) network: BackboneKind,
    pub(crate) width: usize,
    pub(crate) batch: usize,
    /// Folder with one folder of JPEG files per class, and how many of the files to take.
    pub(crate) data: PathBuf,
    pub(crate) images: usize,
    /// Height and width of an image.
    pub(crate) pixels: usize,
    /// For the task `layer`: channels in and out, side, stride, and whether it ends in pooling.
    pub(crate) layer: Layer,
}

#[derive(Debug, Clone, Copy)]
pub(crate) struct Layer {
    pub(crate) channels: [usize; 2],
    pub(crate) side: usize,
    pub(crate) stride: usize,
    pub(crate) pools: bool,
    pub(crate) backward: bool,
}

impl Arguments {
    /// Of a colour image.
    pub(crate) fn shape(&self) -> Shape {
        Shape { channels: 3, height: self.pixels, width: self.pixels }
    }

    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Self {
        let layer =
            Layer { channels: [64, 64], side: 32, stride: 1, pools: false, backward: false };
        let mut arguments = Self {
            task: words.next().expect("usage: pemm-bench <task> key=value …"),
            threads: None,
            network: BackboneKind::Cnn8,
            width: 64,
            batch: 128,
            data: PathBuf::new(),
            images: 1280,
            pixels: 32,
            layer,
        };
        for word in words {
            let (key, value) = word.split_once('=').expect("arguments are key=value");
            let number = || value.parse::<usize>().expect("a number");
            match key {
                "threads" => arguments.threads = Some(number()),
                "network" => {
                    let found = BackboneKind::ALL.iter().find(|kind| kind.name() == value);
                    arguments.network = *found.expect("network is one of pemm's backbones");
                }
                "width" => arguments.width = number(),
                "batch" => arguments.batch = number(),
                "data" => arguments.data = value.into(),
                "images" => arguments.images = number(),
                "pixels" => arguments.pixels = number(),
                "ins" => arguments.layer.channels[0] = number(),
                "outs" => arguments.layer.channels[1] = number(),
                "side" => arguments.layer.side = number(),
                "stride" => arguments.layer.stride = number(),
                "pools" => arguments.layer.pools = number() == 1,
                "backward" => arguments.layer.backward = number() == 1,
                _ => panic!("unknown key {key}"),
            }
        }
        arguments
    }
}
