"""The architecture families of open_clip's registry, each with the model that stands for it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.hub import tokenizers

TOKENIZERS: dict[str, Callable[[Path], Path]] = {
    "roberta-base": tokenizers.byte_bpe,
    "bert-base-uncased": tokenizers.word_pieces,
    "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract": lambda folder: tokenizers.word_pieces(folder, True),
    "xlm-roberta-base": tokenizers.xlm_roberta,
    "facebook/xlm-v-base": tokenizers.xlm_roberta,
    "google/mt5-base": tokenizers.t5,
    "facebook/nllb-200-distilled-600M": tokenizers.nllb,
    "timm/ViT-B-16-SigLIP": tokenizers.t5,
    "timm/ViT-B-16-SigLIP-i18n-256": tokenizers.t5,
    "timm/ViT-B-32-SigLIP2-256": tokenizers.gemma,
}
BIOMED_BERT = {"model_type": "bert", "vocab_size": 30522, "max_position_embeddings": 512}
SMALL_NLLB = {"d_model": 256, "encoder_layers": 2, "encoder_ffn_dim": 512, "encoder_attention_heads": 4}


@dataclass(frozen=True)
class Family:
    """`model` stands for every name that `pattern` matches first. With `tag` it is built as a pair of the registry.

    Without one, it is a repository of its own (hf-hub:), as for names without weights. A member over 400M parameters
    is `shrunk`: fields of its config by dotted path. `tower` overrides fields of its text tower's own config. `config`
    is that of a model which is in no registry.
    """

    name: str
    pattern: str
    model: str
    tag: str | None = None
    shrunk: dict[str, Any] = field(default_factory=dict)
    tower: dict[str, Any] = field(default_factory=dict)
    config: dict[str, Any] | None = None


TWO_LAYERS = {"vision_cfg.layers": 2, "text_cfg.layers": 2}
BIOMED_CONFIG = {
    "embed_dim": 512,
    "custom_text": True,
    "vision_cfg": {"timm_model_name": "vit_base_patch16_224", "timm_model_pretrained": False, "timm_pool": "",
                   "timm_proj": "linear", "image_size": 224},
    "text_cfg": {"hf_model_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract", "hf_proj_type": "mlp",
                 "hf_tokenizer_name": "microsoft/BiomedNLP-BiomedBERT-base-uncased-abstract",
                 "hf_pooler_type": "cls_last_hidden_state_pooler", "context_length": 256},
}  # fmt: skip
# open_clip's main branch has it in its registry; 3.3.0 runs its image tower at the fixed size that the config names.
NAFLEX_CONFIG = {
    "embed_dim": 768,
    "init_logit_bias": -10,
    "custom_text": True,
    "vision_cfg": {"timm_model_name": "naflexvit_base_patch16_siglip", "timm_model_pretrained": False,
                   "timm_pool": "map", "timm_proj": "none", "image_size": 256},
    "text_cfg": {"hf_tokenizer_name": "timm/ViT-B-32-SigLIP2-256", "tokenizer_kwargs": {"clean": "canonicalize"},
                 "context_length": 64, "vocab_size": 256000, "width": 768, "heads": 12, "layers": 12,
                 "no_causal_mask": True, "proj_bias": True, "pool_type": "last", "norm_kwargs": {"eps": 1e-6},
                 "act_kwargs": {"approximate": "tanh"}},
}  # fmt: skip

FAMILIES = (
    Family("ViTamin", "vitamin", "ViTamin-S", "datacomp1b"),
    Family("PE", "pe-core", "PE-Core-T-16-384", "meta"),
    Family("MobileCLIP, a ViT with a stem of convolutions", "mobileclip2?-b", "MobileCLIP-B", "datacompdr"),
    Family("MobileCLIP2", "mobileclip2", "MobileCLIP2-S0", "dfndr2b"),
    Family("MobileCLIP", "mobileclip", "MobileCLIP-S1", "datacompdr"),
    Family("SigLIP i18n", "siglip-i18n", "ViT-B-16-SigLIP-i18n-256", "webli"),
    Family("SigLIP 2", "siglip2", "ViT-B-32-SigLIP2-256", "webli"),
    Family("NLLB text tower", "nllb-clip-(base|large)$", "nllb-clip-base", tower=SMALL_NLLB,
           shrunk={"vision_cfg.layers": 2}),
    Family("NLLB text tower, SigLIP image tower", "nllb-clip-.*siglip", "nllb-clip-base-siglip", tower=SMALL_NLLB,
           shrunk={"vision_cfg.timm_model_name": "vit_base_patch16_siglip_224", "vision_cfg.image_size": 224}),
    Family("SigLIP", "siglip", "ViT-B-16-SigLIP", "webli"),
    Family("CLIPA", "clipa", "ViT-L-14-CLIPA", shrunk=TWO_LAYERS),
    Family("MetaCLIP 2 worldwide, XLM-V's vocabulary", "vit-(h|bigg)-14-worldwide", "ViT-H-14-worldwide",
           shrunk=TWO_LAYERS | {"text_cfg.width": 64, "text_cfg.heads": 2}),
    Family("MetaCLIP 2 worldwide, mT5's vocabulary", "worldwide", "ViT-L-14-worldwide",
           shrunk=TWO_LAYERS | {"text_cfg.width": 128, "text_cfg.heads": 2}),
    Family("EVA", "eva0", "EVA02-B-16", "merged2b_s8b_b131k"),
    Family("ConvNeXt", "convnext", "convnext_base", "laion400m_s13b_b51k"),
    Family("ResNet, QuickGELU", "rn.*quickgelu", "RN50-quickgelu", "openai"),
    Family("ResNet", "^rn", "RN50", "cc12m"),
    Family("CoCa, roberta text tower", "coca_roberta", "coca_roberta-ViT-B-32"),
    Family("CoCa", "coca", "coca_ViT-B-32", "laion2b_s13b_b90k"),
    Family("XLM-roberta text tower", "xlm-roberta", "xlm-roberta-base-ViT-B-32", "laion5b_s13b_b90k"),
    Family("roberta text tower", "roberta", "roberta-ViT-B-32", "laion2b_s12b_b32k"),
    Family("mT5 text tower", "mt5", "mt5-base-ViT-B-32"),
    Family("ViT, QuickGELU (OpenAI, DFN, MetaCLIP)", "vit-.*quickgelu", "ViT-B-32-quickgelu", "openai"),
    Family("ViT (LAION, DataComp)", "^vit-", "ViT-B-32", "laion2b_s34b_b79k"),
    Family("Swin", "swin", "swin_base_patch4_window7_224"),
    Family("ViT with relative positions", "vit_relpos", "vit_relpos_medium_patch16_cls_224"),
    Family("other timm image towers", "vit_", "vit_medium_patch16_gap_256"),
)  # fmt: skip
# Not of the registry: repositories with an open_clip_config.json of their own.
OTHERS = (
    Family("BiomedCLIP and others of the hub", "$^", "BiomedCLIP", config=BIOMED_CONFIG),
    Family("SigLIP 2 NaFlex, at its config's size", "$^", "ViT-B-16-SigLIP2-naflex", config=NAFLEX_CONFIG),
)


def family_of(name: str) -> Family | None:
    """Return the first family whose pattern is found in a registry name, any case."""
    return next((family for family in FAMILIES if re.search(family.pattern, name.lower())), None)
