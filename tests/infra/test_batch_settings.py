"""Which settings of the API's function hold for a batch's functions and the search's."""

from tests.infra.conftest import Synth, resources

OF_MEMORY = {"OPENCLIP_THREADS", "OPENCLIP_MODEL_MEMORY_MB"}


def told(synth: Synth, out: str, **context: str) -> dict[str, set[str]]:
    """Which of OF_MEMORY each function with a bundle has, by the first words of its description."""
    settings = {"memory": "5307", "threads": "3", "model_memory_mb": "4000", "batch_source": "photos"}
    functions = resources(synth(out=out, **settings, **context), "AWS::Lambda::Function")
    described = [(item["Description"].partition(",")[0], item["Environment"]["Variables"]) for item in functions
                 if item.get("Description", "").startswith("OpenCLIP")]  # fmt: skip
    return {name: OF_MEMORY & variables.keys() for name, variables in described}


def test_what_is_meant_for_one_memory_is_not_set_where_a_function_has_another(synth: Synth) -> None:
    """Three threads on the one processor that 1,769 MB buy wait for each other (AWS Lambda, "Configure memory")."""
    batch = {"OpenCLIP batch worker", "OpenCLIP batch compaction"}
    index = {"OpenCLIP search", "OpenCLIP index rebuild", "OpenCLIP index updates"}
    api = {"OpenCLIP embeddings"}
    found = told(synth, "one", batch_memory="1769", search="lance")
    assert found == {**{name: set() for name in batch}, **dict.fromkeys(index | api, OF_MEMORY)}
    found = told(synth, "two", search_memory="1769", search="lance")
    assert found == {**{name: set() for name in index}, **dict.fromkeys(batch | api, OF_MEMORY)}
