"""Asks the handler and open_clip the same zero-shot questions, and prints both answers as one JSON object.

Takes a bundle made for torch. A process of its own, since the hub library reads its variables at import.
"""

import base64
import io
import json
import os
import sys
from collections.abc import Mapping

os.environ["OPENCLIP_BUNDLE_DIR"] = sys.argv[1]

from handler import app  # sets the offline environment, before open_clip is imported

app.SERVICE.model(None)  # both import open_clip: at once, one would meet half of it

import torch  # noqa: E402

from layer.demo import rendering  # noqa: E402
from layer.openclip import open_clip  # noqa: E402

NAME = "hf-hub:openclip-lambda/shapes-i18n"
LABELS = ["red circle", "green triangle", "蓝色的星星", "white square", "blue star"]
TEMPLATES = ["a photo of a {}", "a drawing of a {}.", "{}"]
drawn = [rendering.single(7, number)[0] for number in range(6)]


def ask(path: str, body: Mapping[str, object]) -> dict[str, object]:
    event = {
        "rawPath": path,
        "requestContext": {"http": {"method": "POST"}},
        "body": json.dumps(body),
        "headers": {"content-type": "application/json"},
    }
    answer = app.lambda_handler(event, None)
    assert answer["statusCode"] == 200, answer["body"]
    found: dict[str, object] = json.loads(answer["body"])
    return found


def as_base64(index: int) -> str:
    buffer = io.BytesIO()
    drawn[index].save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode("ascii")


references = [as_base64(index) for index in range(len(drawn))]
classify = {"input": references, "labels": LABELS, "template": TEMPLATES}
handler_sigmoid = ask("/v1/classify", classify)
similarity = ask("/v1/similarity", {"images": references, "texts": LABELS})

# The same weights as a model without a bias, which is what tells CLIP's loss from SigLIP's.
[(name, loaded)] = app.SERVICE.models._loaded.items()
app.SERVICE.models._loaded[name] = loaded._replace(entry=loaded.entry._replace(logit_bias=None))
handler_softmax = ask("/v1/classify", classify)

model, preprocess = open_clip.create_model_from_pretrained(NAME)
tokenizer = open_clip.get_tokenizer(NAME)
templates = [lambda label, form=form: form.format(label) for form in TEMPLATES]
with torch.inference_mode():
    classifier = open_clip.build_zero_shot_classifier(model.eval(), tokenizer, LABELS, templates, device="cpu")
    images = model.encode_image(torch.stack([preprocess(image) for image in drawn]), normalize=True)
    texts = model.encode_text(tokenizer(LABELS), normalize=True)
    logits = model.logit_scale.exp() * images @ classifier
    json.dump(
        {
            "sigmoid": torch.sigmoid(logits + model.logit_bias).tolist(),
            "softmax": logits.softmax(dim=-1).tolist(),
            "cosines": (images @ texts.T).tolist(),
            "handler_sigmoid": handler_sigmoid,
            "handler_softmax": handler_softmax,
            "handler_similarity": similarity,
        },
        sys.stdout,
    )
