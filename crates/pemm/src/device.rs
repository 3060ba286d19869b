//! The devices that a binary was built for and this machine has.

use burn::tensor::Device;
#[cfg(feature = "gpu")]
use burn::tensor::DeviceType;

use crate::error::{Error, Result};

/// A device of this machine.
#[derive(Debug, Clone)]
pub struct Found {
    /// What `--device` takes: `cpu`, `cuda:0`, `wgpu:1`.
    pub name: String,
    /// How it calls itself, and what its kernels are made for.
    pub description: String,
    /// Whether it is a card, and no program that stands in for one.
    pub is_gpu: bool,
    device: Device,
}

impl Found {
    /// The device, without autodiff.
    pub fn device(&self) -> Device {
        self.device.clone()
    }

    /// Name and, where it is not the CPU, description, as a record states them.
    pub fn in_full(&self) -> String {
        if is_cpu(&self.device) {
            return self.name.clone();
        }
        format!("{}: {}", self.name, self.description)
    }
}

/// Whether `device` is the CPU, which has done a step when the call returns.
pub(crate) fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// The kinds of device beside the CPU that this binary was built for, in the order in which `gpu`
/// looks for one.
const KINDS: &[&str] = &[
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "wgpu")]
    "wgpu",
];

/// Keeps compiled kernels, and which of them were the fastest, in the user's cache folder: making them
/// takes longer than a short training. What the user's own `cubecl.toml` says is not asked.
#[cfg(feature = "gpu")]
fn keep_kernels() {
    use burn::cubecl::config::cache::CacheConfig;
    use burn::cubecl::config::{CubeClRuntimeConfig, RuntimeConfig};

    let mut config = CubeClRuntimeConfig::default();
    config.compilation.cache = true;
    config.environment.path = CacheConfig::Global;
    // Where a program that uses this crate has set its own before, that one stays.
    CubeClRuntimeConfig::try_set(config.override_from_env());
}

/// The devices of one of [`KINDS`], those that are cards first.
#[cfg(feature = "gpu")]
fn of_kind(kind: &str) -> Vec<Found> {
    keep_kernels();
    let kind_of_burn = match kind {
        #[cfg(feature = "cuda")]
        "cuda" => DeviceType::Cuda,
        #[cfg(feature = "wgpu")]
        "wgpu" => DeviceType::Wgpu,
        _ => return Vec::new(),
    };
    let found = Device::enumerate(kind_of_burn).into_vec();
    let mut found: Vec<Found> = found
        .into_iter()
        .map(|device| {
            let identity = device.identity();
            let is_gpu = identity.as_ref().is_some_and(|identity| identity.physical.is_some());
            let description = identity
                .map(|identity| format!("{} ({})", identity.name, identity.fingerprint))
                .unwrap_or_default();
            Found { name: String::new(), description, is_gpu: is_gpu || kind == "cuda", device }
        })
        .collect();
    found.sort_by_key(|found| !found.is_gpu);
    for (index, found) in found.iter_mut().enumerate() {
        found.name = format!("{kind}:{index}");
    }
    found
}

#[cfg(not(feature = "gpu"))]
fn of_kind(_: &str) -> Vec<Found> {
    Vec::new()
}

fn cpu() -> Found {
    Found {
        name: "cpu".into(),
        description: format!("the processor ({})", pemm_conv::level().name()),
        is_gpu: false,
        device: Device::flex(),
    }
}

/// Every device that this binary can use here; the CPU first. Opens them.
pub fn all() -> Vec<Found> {
    [cpu()].into_iter().chain(KINDS.iter().flat_map(|kind| of_kind(kind))).collect()
}

/// Opens a device by the name that `--device` takes: `cpu`; `gpu`, the first that there is; `cuda` or
/// `cuda:1`; `wgpu` or `wgpu:1`.
///
/// # Errors
/// An unknown name, a kind that this binary was built without, a device that this machine does not have.
pub fn open(name: &str) -> Result<Device> {
    Ok(find(name)?.device)
}

/// What [`open`] opens, with its description.
///
/// # Errors
/// Those of [`open`].
pub fn find(name: &str) -> Result<Found> {
    let refuse = |reason: String| Err(Error::setting("--device", reason));
    let (kind, index) = match name.split_once(':') {
        None => (name, 0),
        Some((kind, index)) => match index.parse::<usize>() {
            Ok(index) => (kind, index),
            Err(_) => {
                return refuse(format!(
                    "the part after `:` must be a device number, found `{index}`"
                ));
            }
        },
    };
    match kind {
        "cpu" if index == 0 => Ok(cpu()),
        "gpu" if index == 0 => {
            let mut gpus = KINDS.iter().flat_map(|kind| of_kind(kind)).filter(|found| found.is_gpu);
            gpus.next().map_or_else(|| refuse(no_device("GPU")), Ok)
        }
        "cuda" | "wgpu" if !KINDS.contains(&kind) => refuse(format!(
            "this pemm was built without {kind}; build it with `cargo build --release --features \
             {kind}`, or use one of the devices that `pemm devices` lists"
        )),
        "cuda" | "wgpu" => {
            let mut found = of_kind(kind);
            match found.len() {
                0 => refuse(no_device(kind)),
                len if index >= len => refuse(format!(
                    "there is no {name}: the last is {kind}:{}; `pemm devices` lists them",
                    len - 1
                )),
                _ => Ok(found.swap_remove(index)),
            }
        }
        _ => refuse(format!("`{name}` is not one of cpu, gpu, cuda, cuda:N, wgpu, wgpu:N")),
    }
}

/// Why there is nothing of a kind.
fn no_device(kind: &str) -> String {
    let driver = match kind {
        "cuda" => {
            "no NVIDIA GPU was found; does `nvidia-smi` list one, and is its driver (libcuda) installed?"
        }
        "wgpu" => {
            "no device was found; are a GPU's driver and the Vulkan loader (libvulkan1) installed?"
        }
        _ if KINDS.is_empty() => {
            "this pemm was built for the CPU alone; build it with `cargo build --release --features wgpu` \
             or `--features cuda`;"
        }
        _ => {
            "no GPU was found; are its driver and, for wgpu, the Vulkan loader (libvulkan1) installed?"
        }
    };
    format!("{driver} `--device cpu` works everywhere")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_device_that_cannot_be_had_is_refused_with_what_to_do() {
        let said = |name| find(name).unwrap_err().to_string();
        assert!(find("cpu").unwrap().description.starts_with("the processor"));
        assert!(said("tpu").contains("`tpu` is not one of cpu, gpu, cuda"));
        assert!(said("cpu:1").contains("is not one of"));
        assert!(said("cuda:x").contains("must be a device number, found `x`"));
        if KINDS.is_empty() {
            assert!(said("gpu").contains("--features wgpu"));
            assert!(said("wgpu:1").contains("built without wgpu"));
        } else {
            let last = of_kind(KINDS[0]).len();
            assert!(find(&format!("{}:{last}", KINDS[0])).is_err());
        }
    }
}
