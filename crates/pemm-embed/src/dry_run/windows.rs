//! Shapes and cost of what slides windows over an image: convolution, pooling, resizing.

use super::rules::{Inputs, Ruled, axis, input, numbers, optional};
use super::{Outcome, Value};
use crate::graph::Node;

/// Padding, stride and dilation of each dimension of an image.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Windows {
    /// Added before and after, in each dimension.
    pub(crate) pads: Vec<[usize; 2]>,
    pub(crate) strides: Vec<usize>,
    pub(crate) dilations: Vec<usize>,
    /// Sizes of the result.
    pub(crate) sizes: Vec<usize>,
}

impl Windows {
    /// The windows of `kernel` over `image`, as the attributes of `node` say.
    pub(crate) fn of(node: &Node<'_>, image: &[usize], kernel: &[usize]) -> Ruled<Self> {
        let rank = image.len();
        let list = |name: &str, default: usize, len: usize| {
            let Some(given) = node.numbers(name) else { return Ok(vec![default; len]) };
            let sizes: Option<Vec<usize>> = given
                .iter()
                .map(|&size| usize::try_from(size).ok().filter(|&size| size <= 1 << 20))
                .collect();
            let fits = sizes.filter(|sizes| sizes.len() == len);
            fits.ok_or_else(|| format!("{name} = {given:?} does not fit {rank} dimensions"))
        };
        let (strides, dilations) = (list("strides", 1, rank)?, list("dilations", 1, rank)?);
        if kernel.len() != rank || strides.contains(&0) || dilations.contains(&0) {
            return Err(format!("a kernel {kernel:?} over {image:?} with strides {strides:?}"));
        }
        let given = list("pads", 0, 2 * rank)?;
        let is_ceil = node.number("ceil_mode").unwrap_or_default() != 0;
        let (mut pads, mut sizes) = (Vec::new(), Vec::new());
        for d in 0..rank {
            let reach = kernel[d]
                .checked_sub(1)
                .and_then(|reach| reach.checked_mul(dilations[d])?.checked_add(1))
                .ok_or_else(|| format!("a kernel {kernel:?}"))?;
            let same = image[d].div_ceil(strides[d]);
            let total = ((same.max(1) - 1) * strides[d] + reach).saturating_sub(image[d]);
            let pad = match node.text("auto_pad").unwrap_or("NOTSET") {
                "NOTSET" => [given[d], given[rank + d]],
                "SAME_UPPER" => [total / 2, total - total / 2],
                "SAME_LOWER" => [total - total / 2, total / 2],
                "VALID" => [0, 0],
                other => return Err(format!("auto_pad = {other:?} is not known")),
            };
            let room = (image[d] + pad[0] + pad[1]).checked_sub(reach);
            let room = room.ok_or_else(|| {
                format!("a kernel {kernel:?} is larger than the image {image:?} it goes over")
            })?;
            let steps = if is_ceil { room.div_ceil(strides[d]) } else { room / strides[d] };
            // A window that would start in the padding behind the image does not count.
            let beyond = is_ceil && steps * strides[d] >= image[d] + pad[0];
            sizes.push(steps + 1 - usize::from(beyond));
            pads.push(pad);
        }
        Ok(Self { pads, strides, dilations, sizes })
    }
}

pub(super) fn conv(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let (image, weights) = (&input(inputs, 0)?.shape, &input(inputs, 1)?.shape);
    let group = usize::try_from(node.number("group").unwrap_or(1)).unwrap_or_default();
    let ([batch, channels, image @ ..], [filters, depth, kernel @ ..]) = (&image[..], &weights[..])
    else {
        return Err(format!("{image:?} and {weights:?} are no image and filters"));
    };
    if group == 0 || depth.checked_mul(group) != Some(*channels) || filters % group != 0 {
        return Err(format!(
            "{channels} channels in {group} groups do not go with the filters {weights:?}"
        ));
    }
    if optional(inputs, 2).is_some_and(|bias| bias.shape != [*filters]) {
        return Err(format!("the bias does not have {filters} values"));
    }
    let windows = Windows::of(node, image, kernel)?;
    let value = Value::float([&[*batch, *filters][..], &windows.sizes].concat());
    let taps = kernel.iter().fold(*depth as u64, |taps, &size| taps.saturating_mul(size as u64));
    let work = value.len().saturating_mul(taps.max(1));
    Ok(Outcome { values: vec![value], work })
}

pub(super) fn pool(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let image = &input(inputs, 0)?.shape;
    let [batch, channels, sides @ ..] = &image[..] else {
        return Err(format!("{image:?} is no image"));
    };
    let kernel: Option<Vec<usize>> = node
        .numbers("kernel_shape")
        .and_then(|kernel| kernel.iter().map(|&size| usize::try_from(size).ok()).collect());
    let kernel = kernel.ok_or("kernel_shape is missing")?;
    let windows = Windows::of(node, sides, &kernel)?;
    let value = Value::float([&[*batch, *channels][..], &windows.sizes].concat());
    let taps = kernel.iter().fold(1u64, |taps, &size| taps.saturating_mul(size as u64));
    let work = value.len().saturating_mul(taps.max(1));
    Ok(Outcome { values: vec![value], work })
}

pub(super) fn global_pool(inputs: &Inputs<'_>) -> Ruled {
    let image = input(inputs, 0)?;
    let [batch, channels, sides @ ..] = &image.shape[..] else {
        return Err(format!("{:?} is no image", image.shape));
    };
    let shape = [&[*batch, *channels][..], &vec![1; sides.len()]].concat();
    Ok(Outcome { values: vec![Value::float(shape)], work: image.len() })
}

pub(super) fn resize(node: &Node<'_>, inputs: &Inputs<'_>) -> Ruled {
    let image = &input(inputs, 0)?.shape;
    let policy = node.text("keep_aspect_ratio_policy").unwrap_or("stretch");
    if policy != "stretch" {
        return Err(format!("keep_aspect_ratio_policy = {policy:?} is not supported"));
    }
    // rten 0.27 would compute "linear" without a word.
    if node.text("mode") == Some("cubic") {
        return Err("mode = \"cubic\" is not supported".into());
    }
    let axes: Vec<usize> = match node.numbers("axes") {
        None => (0..image.len()).collect(),
        Some(axes) => axes.iter().map(|&a| axis(a as f64, image.len())).collect::<Ruled<_>>()?,
    };
    let is_given = |index| optional(inputs, index).is_some_and(|value| value.len() > 0);
    let (values, are_sizes) = if is_given(3) {
        (numbers(inputs, 3)?, true)
    } else if is_given(2) {
        (numbers(inputs, 2)?, false)
    } else {
        return Err("neither sizes nor scales are given".into());
    };
    if values.len() != axes.len() {
        return Err(format!("{values:?} does not fit the shape {image:?}"));
    }
    let mut shape = image.clone();
    for (&axis, &value) in axes.iter().zip(values) {
        let size = if are_sizes { value } else { (image[axis] as f64 * value).floor() };
        if !(1.0..=1e9).contains(&size) {
            return Err(format!("{values:?} does not fit the shape {image:?}"));
        }
        shape[axis] = size as usize;
    }
    let value = Value::float(shape);
    // Cubic interpolation reads 16 values for each.
    let work = value.len().saturating_mul(16);
    Ok(Outcome { values: vec![value], work })
}
