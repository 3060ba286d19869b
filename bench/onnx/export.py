"""Writes ONNX files of timm and transformers architectures with random weights.

    python export.py FOLDER [NAME …]

One file a name of MODELS (all without a name), with a free batch and a fixed image size, through
`torch.onnx.export` as somebody would call it. Weights are random (seed 0) with batch statistics
that are not the identity, because nothing is downloaded; agreement and speed do not depend on what
a network has learned. `timm` models end before their classifier (`num_classes=0`).
"""

import sys
import time
from pathlib import Path

import timm
import torch

# Name of the file: (architecture, image size, further arguments).
MODELS = {
    "resnet18": ("resnet18", 96, {}),
    "resnet50": ("resnet50", 224, {}),
    "resnet50-logits": ("resnet50", 96, {"num_classes": 1000}),
    "regnety_002": ("regnety_002", 96, {}),
    "densenet121": ("densenet121", 96, {}),
    "efficientnet_b0": ("efficientnet_b0", 96, {}),
    "efficientnetv2_rw_t": ("efficientnetv2_rw_t", 96, {}),
    "efficientnet_lite0": ("efficientnet_lite0", 160, {}),
    "mobilenetv3_small_100": ("mobilenetv3_small_100", 96, {}),
    "mobilenetv4_conv_small": ("mobilenetv4_conv_small", 96, {}),
    "convnext_atto": ("convnext_atto", 96, {}),
    "convnextv2_atto": ("convnextv2_atto", 96, {}),
    "vgg11_bn": ("vgg11_bn", 96, {}),
    "inception_v3": ("inception_v3", 128, {}),
    "ghostnet_100": ("ghostnet_100", 96, {}),
    "vit_tiny_patch16": ("vit_tiny_patch16_224", 224, {}),
    "vit_small_patch14_dinov2": ("vit_small_patch14_dinov2", 98, {"img_size": 98}),
    "vit_small_patch14_reg4_dinov2": ("vit_small_patch14_reg4_dinov2", 98, {"img_size": 98}),
    "vit_base_patch32_clip": ("vit_base_patch32_clip_224", 224, {}),
    "vit_base_patch16_siglip": ("vit_base_patch16_siglip_224", 224, {}),
    "deit3_small_patch16": ("deit3_small_patch16_224", 224, {}),
    "swin_tiny": ("swin_tiny_patch4_window7_224", 224, {}),
    "mixer_s32": ("mixer_s32_224", 224, {}),
    "eva02_tiny_patch14": ("eva02_tiny_patch14_224", 224, {}),
    "beit_base_patch16": ("beit_base_patch16_224", 224, {}),
    "maxvit_pico_rw_256": ("maxvit_rmlp_pico_rw_256", 256, {}),
    "coatnet_nano_rw": ("coatnet_nano_rw_224", 224, {}),
    "levit_128s": ("levit_128s", 224, {}),
    "edgenext_xx_small": ("edgenext_xx_small", 96, {}),
    "mobilevit_xxs": ("mobilevit_xxs", 128, {}),
    "fastvit_t8": ("fastvit_t8", 128, {}),
    "hf-clip-vision": ("transformers", 224, {}),
    "hf-dinov2": ("transformers", 98, {}),
    "hf-siglip-vision": ("transformers", 96, {}),
}


class Outputs(torch.nn.Module):
    """The tokens and the pooled output of a transformers vision model."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixel_values):
        outputs = self.model(pixel_values)
        return outputs.last_hidden_state, outputs.pooler_output


def from_transformers(name, size):
    """A small vision tower with random weights."""
    import transformers as hf

    small = {"hidden_size": 192, "num_hidden_layers": 4, "num_attention_heads": 3}
    if name == "hf-clip-vision":
        config = hf.CLIPVisionConfig(**small, intermediate_size=768, image_size=size)
        return Outputs(hf.CLIPVisionModel(config))
    if name == "hf-siglip-vision":
        config = hf.SiglipVisionConfig(**small, intermediate_size=768, image_size=size)
        return Outputs(hf.SiglipVisionModel(config))
    config = hf.Dinov2Config(**small, image_size=size)
    return Outputs(hf.Dinov2Model(config))


def build(name):
    """The network of one name, ready for inference, and its image size."""
    architecture, size, arguments = MODELS[name]
    torch.manual_seed(0)
    if architecture == "transformers":
        model = from_transformers(name, size)
    else:
        model = timm.create_model(architecture, **{"num_classes": 0, **arguments})
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -0.1, 0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 1.5)
    return model.eval(), size


def export(name, folder):
    """Writes `folder/name.onnx`."""
    model, size = build(name)
    with torch.no_grad():
        torch.onnx.export(
            model,
            (torch.randn(2, 3, size, size),),
            folder / f"{name}.onnx",
            input_names=["pixel_values"],
            output_names=["last_hidden_state", "pooler_output"] if name[:3] == "hf-" else ["features"],
            dynamic_shapes=({0: torch.export.Dim("batch")},),
            external_data=False,
            verbose=False,
        )


def main():
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    for name in sys.argv[2:] or MODELS:
        start = time.time()
        try:
            export(name, folder)
            print(f"{name}: {time.time() - start:.0f} s", flush=True)
        except Exception as error:  # One architecture that torch cannot export must not end the others.
            print(f"{name}: not exported: {type(error).__name__}: {str(error)[:300]}", flush=True)


if __name__ == "__main__":
    main()
