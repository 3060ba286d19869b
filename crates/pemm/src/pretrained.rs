//! A backbone that starts from the weights of another training.

use pemm_data::{Shape, Stream, Streams};
use pemm_experiment::{Plan, content};

use crate::backbone::Backbone;
use crate::device;
use crate::error::Result;
use crate::networks::PEER;
use crate::tensors::{TensorMap, apply, collect, from_safetensors};

/// Prefix of the backbone's tensors in pemm's own files.
const BACKBONE: &str = "backbone.";
/// Prefixes of what is left out: the last layer, which is drawn anew, as pemm and as torchvision name
/// it, and the second network of a run of two.
const OTHERS: [&str; 3] = ["head.", "fc.", PEER];

/// The tensors that the backbone of `plan` starts from, if its experiment names a file of weights: a
/// safetensors file that pemm wrote (`last.safetensors` of a run), or one with the names of the PyTorch
/// module, such as torchvision's `resnet50`. Those of the last layer are left out, since the classes
/// are others; of two networks the first is taken.
///
/// # Errors
/// A file that cannot be read or has changed since it was hashed, and
/// [`Error::Weights`](crate::Error::Weights) where a tensor of the backbone is missing, has another
/// shape, or is left over.
pub(crate) fn read(plan: &Plan, shape: Shape) -> Result<Option<TensorMap>> {
    let config = &plan.experiment().model;
    let Some(path) = &config.weights else { return Ok(None) };
    let bytes = content::read(
        "model.weights",
        path,
        config.weights_sha256.as_deref(),
        content::MAX_WEIGHTS,
    )?;
    let (tensors, _) = from_safetensors(&bytes, path)?;
    let mut rng = Streams::new(plan.experiment().seed).open(Stream::Init);
    let (kind, width) = (plan.model().backbone, plan.model().width());
    let backbone = Backbone::new(kind, width, shape, &mut rng, &device::open("cpu")?);
    let tensors = of_backbone(tensors, &collect(&backbone));
    apply(backbone, tensors.clone(), path)?;
    Ok(Some(tensors))
}

/// What of the tensors of a file is meant for a backbone with tensors `own`.
fn of_backbone(tensors: TensorMap, own: &TensorMap) -> TensorMap {
    let is_of_pemm = tensors.keys().any(|name| name.starts_with(BACKBONE));
    tensors
        .into_iter()
        .filter_map(|(name, values)| match name.strip_prefix(BACKBONE) {
            Some(own) if is_of_pemm => Some((own.to_owned(), values)),
            _ => {
                let is_other = OTHERS.iter().any(|other| name.starts_with(other));
                let is_meant = !is_other || (!is_of_pemm && own.contains_key(&name));
                is_meant.then_some((name, values))
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use pemm_experiment::{DataFacts, Experiment, Layer};

    use super::*;
    use crate::networks::{collect_all, networks};
    use crate::tensors::{Values, to_safetensors};

    const SHAPE: Shape = Shape { channels: 1, height: 8, width: 8 };

    fn plan(backbone: &str, path: &str) -> Plan {
        let assignments =
            [format!("model.backbone={backbone}"), format!("model.weights=\"{path}\"")];
        let layers = assignments.map(|text| Layer::from_assignment(&text).unwrap());
        let facts = DataFacts { shape: SHAPE, vectors: false, num_classes: 3, parts: None };
        Experiment::from_layers(&layers).unwrap().resolve(facts).unwrap()
    }

    #[test]
    fn files_of_pemm_and_of_pytorch_start_a_backbone() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("w.safetensors");
        let path = file.to_str().unwrap();
        // cnn8 has a layer `fc` of its own, which torchvision's ResNets call their last.
        for kind in ["resnet20", "cnn8"] {
            let plan = plan(kind, path);
            let device = device::open("cpu").unwrap();
            let other = networks(2, plan.model(), SHAPE, 3, Streams::new(9), &device);
            let wanted = collect(&other[0].backbone);
            let mut of_pytorch = wanted.clone();
            let last = Values { shape: vec![1], data: vec![0.0] };
            of_pytorch.entry("fc.weight".into()).or_insert(last);
            for tensors in [collect_all(&other), collect_all(&other[..1]), of_pytorch.clone()] {
                std::fs::write(&file, to_safetensors(&tensors, "{}")).unwrap();
                assert_eq!(read(&plan, SHAPE).unwrap().as_ref(), Some(&wanted), "{kind}");
            }

            let (first, _) = of_pytorch.pop_first().unwrap();
            std::fs::write(&file, to_safetensors(&of_pytorch, "{}")).unwrap();
            let error = read(&plan, SHAPE).unwrap_err().to_string();
            assert!(error.contains(&format!("{first} of the model is missing")), "{error}");
            std::fs::write(&file, "no weights").unwrap();
            assert!(read(&plan, SHAPE).is_err());
        }
    }
}
