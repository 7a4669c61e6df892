"""Libraries are imported without what no request reaches, in a process of its own: whoever wants that still gets it."""

import subprocess
import sys

import pytest

from handler.engines.import_open_clip import needs_transformers
from handler.manifest import Golden, ModelEntry
from tests.patience import SECONDS

PROGRAM = """
import sys
from handler.engines import openvino_engine
brought = {name for name, module in sys.modules.items() if name.startswith("openvino.") and module is not None}
assert not {name for name in brought if "opset" in name or name.startswith(("openvino.tools", "openvino.frontend"))}
from openvino import opset13
import openvino.frontend
assert callable(opset13.matmul) and openvino.frontend.FrontEndManager
"""
# argv: whether the model's tokenizer is transformers'
OPEN_CLIP = """
import sys
from types import SimpleNamespace
from handler.engines.import_open_clip import import_open_clip
import torch
disable = torch.compiler.disable
needed = sys.argv[1] == "hf"
entry = SimpleNamespace(engine="torch", tokenizer={"kind": sys.argv[1]}, sources=[{"roles": ["weights"]}])
open_clip = import_open_clip([entry])
assert ("transformers" in sys.modules, open_clip.hf_model.transformers is not None) == (needed, needed)
assert not {"torch._dynamo", "torch._dynamo.utils", "sympy"} & set(sys.modules)
assert open_clip.timm_model.timm is not None and torch.compiler.disable is disable
assert import_open_clip([entry]) is open_clip
open_clip.create_model("ViT-S-32-alt")
assert "torch._dynamo" not in sys.modules
assert needed or not {"transformers", "sentencepiece", "google.protobuf"} & set(sys.modules)  # a package has none

from torchvision.ops import roi_align
asked = sys.modules[roi_align.__module__].is_compile_supported("cpu")
import torch._dynamo.utils
assert torch._dynamo.utils.is_compile_supported("cpu") == asked
assert torch.compile(torch.nn.Identity(), backend="eager")(torch.ones(1)) == 1
from transformers import AutoTokenizer
assert callable(AutoTokenizer.from_pretrained)
"""
BESIDE = """
import builtins
import sys
import threading
from types import SimpleNamespace
from handler.engines.import_open_clip import import_open_clip
import torch
failed = []

def other():
    try:
        import transformers
        import torch._dynamo.utils
        from torch._dynamo import utils
        assert transformers.__version__ and utils.counters is not None
        assert torch.compile(torch.nn.Identity(), backend="eager")(torch.ones(1)) == 1
    except BaseException as error:
        failed.append(repr(error))

# While open_clip is being imported: not in a finder, where the import system holds a lock of all threads.
threads, real = [], builtins.__import__

def hooked(name, *rest, **more):
    if name == "timm" and not threads:
        threads.append(threading.Thread(target=other))
        threads[0].start()
        threads[0].join(120)
    return real(name, *rest, **more)

builtins.__import__ = hooked
entry = SimpleNamespace(engine="torch", tokenizer={"kind": "simple"}, sources=[{"roles": ["weights"]}])
open_clip = import_open_clip([entry])
assert threads and not threads[0].is_alive() and not failed, failed
assert open_clip.timm_model.timm is not None
import torch._dynamo
assert sys.modules["torch._dynamo.utils"] is torch._dynamo.utils  # the real one stays
"""
LAYER = """
import sys
from layer.openclip import open_clip
import torch
assert not {"torch._dynamo", "torch._dynamo.utils"} & set(sys.modules)
assert open_clip.timm_model.timm is not None and open_clip.hf_model.transformers is not None
assert torch.compiler.disable.__module__ == "torch.compiler"
from torchvision.ops import roi_align
asked = sys.modules[roi_align.__module__].is_compile_supported("cpu")
import torch._dynamo.utils
assert torch._dynamo.utils.is_compile_supported("cpu") == asked
"""
# argv: models of the registry
FIT = """
import sys
from layer.tensor_shapes.compare import difference
from layer.openclip import open_clip
from layer.registry import meta_model, parameter_count
from layer.weights.tensor import Tensor
import torch

for name in sys.argv[1:]:
    config = open_clip.get_model_config(name)
    with meta_model.uncompiled(config):
        made = meta_model.create(config, {}).state_dict()
    own = {key: Tensor(tuple(one.shape), str(one.dtype)[6:], one.clone) for key, one in made.items()}
    assert difference(config, own, {}) is None, name
    assert difference(config, {}, {}) is not None
    assert parameter_count.count_config(config, {})["parameters"]["text"] > 0
assert not {"torch._dynamo", "torch._inductor"} & set(sys.modules)
assert "sympy" in sys.modules and "_dynamo" not in vars(torch)  # nothing that was imported is forgotten
import torch._dynamo.utils
assert torch.compile(torch.nn.Identity(), backend="eager")(torch.ones(1)) == 1
assert torch.randn(2, device="meta").shape == (2,)
"""


@pytest.mark.parametrize("program", [[OPEN_CLIP, "simple"], [OPEN_CLIP, "hf"], [LAYER]], ids=["simple", "hf", "layer"])
def test_open_clip_is_imported_without_the_compiler_and_what_its_models_do_not_need(program: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", *program], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


def test_another_thread_finds_the_real_ones_while_open_clip_is_imported() -> None:
    """As code of one's own does that imports what is heavy in a request, as docs/extending.md has it."""
    done = subprocess.run([sys.executable, "-c", BESIDE], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


def test_transformers_is_needed_by_its_tokenizers_and_text_towers_and_where_nobody_knows() -> None:
    golden = Golden([], [], [], [], [])
    simple = ModelEntry("a", "a", "a", None, "torch", "fp32", 2, (8, 8), 4, 1, None, {}, {"kind": "simple"}, golden)
    weights, tower = {"roles": ["weights", "config"]}, {"roles": ["text_config"]}

    assert not needs_transformers(simple._replace(sources=[weights]))
    assert needs_transformers(simple._replace(sources=[weights], tokenizer={"kind": "hf"}))
    assert needs_transformers(simple._replace(sources=[weights, tower]))
    assert needs_transformers(simple)


def test_the_engine_leaves_out_what_builds_graphs_and_others_still_find_it() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr


def test_a_model_is_counted_and_a_checkpoint_held_to_its_config_without_the_compiler() -> None:
    families = ["ViT-B-32", "RN50", "coca_ViT-B-32", "ViT-B-16-SigLIP", "EVA02-B-16", "convnext_base", "MobileCLIP-S1"]
    done = subprocess.run([sys.executable, "-c", FIT, *families], capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
