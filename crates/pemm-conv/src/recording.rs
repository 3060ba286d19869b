//! Work on a GPU that is recorded once and then replayed, without the host launching it anew.
//!
//! A training step is some hundreds of small kernels, and launching each takes the host longer than it
//! takes the GPU to run it. CUDA replays a recording with one launch; elsewhere CubeCL launches what was
//! recorded, without preparing it again. Every replay reads and writes the memory that the recorded
//! run did, so what goes in is written there ([`Buffer::write`]) and what comes out is read there.

use std::marker::PhantomData;

use burn::backend::{Backend, BackendGraph, Dispatch, DispatchTensor};
use burn::tensor::kind::Autodiff;
use burn::tensor::{Device, Tensor};

#[cfg(feature = "gpu")]
use crate::gpu::GpuOps;

/// Whether work on `device` can be recorded: on a GPU.
pub fn can_record(device: &Device) -> bool {
    match device.clone().without_autodiff().as_dispatch() {
        #[cfg(feature = "gpu")]
        burn::backend::DispatchDevice::Cube(_) => true,
        #[allow(unreachable_patterns)]
        _ => false,
    }
}

/// The memory of a tensor on a GPU.
#[derive(Clone, Debug)]
pub struct Buffer(DispatchTensor);

impl Buffer {
    /// That of `tensor`, which stays an owner of it.
    pub fn of<const D: usize, K: Autodiff>(tensor: &Tensor<D, K>) -> Self {
        Self(tensor.clone().without_autodiff().into_dispatch())
    }

    /// The tensor, without autodiff.
    ///
    /// # Panics
    /// If it was of another kind.
    pub fn tensor<const D: usize, K: Autodiff>(&self) -> Tensor<D, K> {
        Tensor::from_dispatch(self.0.clone())
    }

    /// Copies the values of `from` into this memory, so all tensors that lie in it have them from now on.
    ///
    /// # Panics
    /// If `from` has another shape or number type, or does not lie on a GPU.
    pub fn write(&self, from: &Buffer) {
        write(self.0.clone(), from.0.clone());
    }
}

/// `tensor`, which lies on a GPU, in memory of its own.
pub fn copied<const D: usize, K: Autodiff>(tensor: Tensor<D, K>) -> Tensor<D, K> {
    let new = tensor.empty_like();
    Buffer::of(&new).write(&Buffer::of(&tensor));
    new
}

#[cfg(feature = "gpu")]
fn write(into: DispatchTensor, from: DispatchTensor) {
    use burn::backend::TensorMetadata;

    if into.dtype().is_float() {
        Dispatch::gpu_write(into, from);
    } else {
        Dispatch::gpu_write_int(into, from);
    }
}

#[cfg(not(feature = "gpu"))]
fn write(_: DispatchTensor, _: DispatchTensor) {
    panic!("this build has no GPU to write to");
}

/// What [`record`] recorded.
#[derive(Debug)]
pub struct Recording<S, T> {
    // Before the tensors: what is dropped first.
    graph: BackendGraph<Dispatch>,
    device: Device,
    state: S,
    output: T,
    /// Replays are in order with what the same thread does, and with nothing else.
    _thread: PhantomData<*const ()>,
}

/// Records what `run` does on `device`; `None` where the device refuses.
///
/// `run` is called three times: twice for the memory that it takes, and once for the recording, which
/// does nothing but note the launches. So what it writes is worthless until the first replay. It must
/// do the same each time: neither read from the device nor depend on what the host alone knows. What it
/// uploads is uploaded in each replay as it was then.
pub fn record<S, T>(
    device: &Device,
    state: S,
    mut run: impl FnMut(&S) -> T,
) -> Option<Recording<S, T>> {
    let device = device.clone().without_autodiff();
    let at = device.as_dispatch();
    let mut prepared = || {
        Dispatch::graph_prepare(at)?;
        for _ in 0..2 {
            drop(run(&state));
            Dispatch::sync(at)?;
        }
        Dispatch::graph_start_capture(at)
    };
    let output = prepared().ok().map(|()| run(&state));
    // Ends what was begun, wherever it stands.
    let graph = Dispatch::graph_stop_capture(at).ok();
    let (output, graph) = output.zip(graph)?;
    Some(Recording { graph, device, state, output, _thread: PhantomData })
}

impl<S, T> Recording<S, T> {
    /// What the recorded work was given.
    pub fn state(&self) -> &S {
        &self.state
    }

    /// Does the recorded work again, and returns the tensors that hold what comes out.
    ///
    /// # Errors
    /// What the device says.
    pub fn replay(&mut self) -> Result<&T, String> {
        // SAFETY: the graph keeps every page of memory that a recorded launch was given from being
        // moved or used for anything else (CubeCL's `PageGuard`), whoever dropped the tensors there.
        // Writes, replays and reads are those of one thread, which is one stream, for this type
        // leaves no other: it cannot be sent.
        unsafe { Dispatch::graph_replay(self.device.as_dispatch(), &self.graph) }
            .map_err(|error| error.to_string())?;
        Ok(&self.output)
    }
}
