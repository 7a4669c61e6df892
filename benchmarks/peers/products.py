"""Record a tower's products with matrices of weights. `floor` measures how fast they can be."""

from collections.abc import Callable
from typing import Any, NamedTuple


class Product(NamedTuple):
    """[rows, inner] times weights [inner, columns]."""

    rows: int
    inner: int
    columns: int

    @property
    def operations(self) -> int:
        """How many multiplications and additions it is."""
        return 2 * self.rows * self.inner * self.columns

    @property
    def weights(self) -> int:
        """How many weights it reads: bytes, at 8 bits each."""
        return self.inner * self.columns


def products(run: Callable[[], object]) -> list[Product]:
    """Record the products with a matrix of weights while `run` calls a torch module, best on the meta device.

    A convolution counts as the product that it is where its windows do not overlap, as a patch embedding's. Products
    of activations with activations, which are attention's, are left out.
    """
    import torch
    from torch.utils._python_dispatch import TorchDispatchMode

    found: list[Product] = []
    aten = torch.ops.aten

    class Recorder(TorchDispatchMode):
        def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = function(*args, **(kwargs or {}))
            if function in (aten.mm.default, aten.addmm.default):
                (rows, inner), (_, columns) = (matrix.shape for matrix in args[-2:])
                found.append(Product(rows, inner, columns))
            elif function == aten.bmm.default and args[1].stride(0) == 0:  # one matrix of weights, for all of a batch
                (batch, rows, inner), columns = args[0].shape, args[1].shape[2]
                found.append(Product(batch * rows, inner, columns))
            elif function == aten.convolution.default:
                kernels = args[1]
                found.append(Product(out.numel() // out.shape[1], kernels[0].numel(), kernels.shape[0]))
            return out

    recorder: Any = Recorder
    with torch.no_grad(), recorder():
        run()
    return found


def of_tower(name: str, kind: str, batch: int, tokens: int | None = None) -> list[Product]:
    """Return the products of an architecture's tower, `images` or `captions`, on a batch.

    `tokens` are how many of the context a causal text tower has to compute: what follows a text's end reaches nothing.
    """
    import torch

    from layer.openclip import no_warnings, open_clip

    with torch.device("meta"), no_warnings():
        model = open_clip.create_model(name, load_weights=False, device="meta").eval().requires_grad_(False)
        size = model.visual.image_size
        height, width = (size, size) if isinstance(size, int) else size
        if kind == "images":
            return products(lambda: model.encode_image(torch.zeros(batch, 3, height, width, device="meta")))
        ids = torch.zeros(batch, model.context_length, dtype=torch.int64, device="meta")
        found = products(lambda: model.encode_text(ids))
    whole = batch * model.context_length
    return [one._replace(rows=batch * tokens) if tokens and one.rows == whole else one for one in found]
