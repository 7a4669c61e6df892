"""LangChain's and LlamaIndex's own embeddings classes for OpenAI's API, and LangChain's for NVIDIA NIM's."""

import numpy as np
import openai
import pytest
from langchain_nvidia_ai_endpoints import NVIDIAEmbeddings
from langchain_openai import OpenAIEmbeddings
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from pydantic import SecretStr

from tests.clients.conftest import MODEL
from tests.clients.gateway import KEY, Gateway

DOCUMENTS = ["a photo of a red circle", "a photo of a blue star", "一个红色的圆形的照片"]


def test_langchain_embeds_documents_and_queries_once_it_sends_strings(gateway: Gateway) -> None:
    embeddings = OpenAIEmbeddings(
        base_url=f"{gateway.url}/v1", api_key=SecretStr(KEY), model=MODEL, check_embedding_ctx_length=False
    )

    found = np.array(embeddings.embed_documents(DOCUMENTS))
    query = np.array(embeddings.embed_query("a photo of a red circle"))

    assert found.shape == (3, 64)
    np.testing.assert_allclose(query, found[0], atol=1e-5)
    assert np.argmax(found[1:] @ query) == 1  # the Chinese caption of the same thing


def test_langchain_s_default_of_sending_token_ids_is_refused_with_the_fix(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Encoding:
        """What tiktoken gives, which would download its vocabulary."""

        def encode_ordinary(self, text: str) -> list[int]:
            return [len(word) for word in text.split()]

        encode = encode_ordinary

    monkeypatch.setattr("tiktoken.encoding_for_model", lambda name: Encoding())
    monkeypatch.setattr("tiktoken.get_encoding", lambda name: Encoding())
    embeddings = OpenAIEmbeddings(base_url=f"{gateway.url}/v1", api_key=SecretStr(KEY), model=MODEL, max_retries=0)

    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False") as caught:
        embeddings.embed_documents(DOCUMENTS)
    assert caught.value.code == "token_ids_not_supported"


def test_llama_index_embeds_texts_and_queries(gateway: Gateway) -> None:
    embedding = OpenAILikeEmbedding(model_name=MODEL, api_base=f"{gateway.url}/v1", api_key=KEY, embed_batch_size=2)

    found = np.array(embedding.get_text_embedding_batch(DOCUMENTS))
    query = np.array(embedding.get_query_embedding("a photo of a red circle"))

    assert found.shape == (3, 64)
    np.testing.assert_allclose(query, found[0], atol=1e-5)
    assert np.argmax(found[1:] @ query) == 1


def test_langchain_s_client_of_nvidia_nim_embeds_and_reads_why_a_long_text_is_refused(gateway: Gateway) -> None:
    embeddings = NVIDIAEmbeddings(model=MODEL, base_url=f"{gateway.url}/v1", api_key=KEY)

    found = np.array(embeddings.embed_documents(DOCUMENTS))
    query = np.array(embeddings.embed_query("a photo of a red circle"))

    assert found.shape == (3, 64)
    np.testing.assert_allclose(query, found[0], atol=1e-5)
    assert np.argmax(found[1:] @ query) == 1
    with pytest.raises(Exception, match="text_too_long: input"):
        embeddings.embed_query("a photo " * 200)
    cut = NVIDIAEmbeddings(model=MODEL, base_url=f"{gateway.url}/v1", api_key=KEY, truncate="END")
    assert len(cut.embed_query("a photo " * 200)) == 64
