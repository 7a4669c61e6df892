"""Requests to the API: JSON there and back, again where it is busy, an exception with the API's own words otherwise."""

import asyncio
import time
from typing import Any

import httpx

from openclip_lambda.credentials import Sign, nobody
from openclip_lambda.errors import ResponseError
from openclip_lambda.exchange import Exchange, to_body
from openclip_lambda.transport import FAILURES, Body


class Api(Exchange):
    """An API that several threads may ask at once. Raises ClientError for an address that cannot be used."""

    def __init__(self, url: str, sign: Sign = nobody, insecure_http: bool = False) -> None:
        super().__init__(url, sign, insecure_http)
        self._http = httpx.Client(**self.way.options)

    def get(self, path: str) -> Any:
        """GET. Raises ResponseError."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises ResponseError."""
        return self._send("POST", path, to_body(body))

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def _send(self, method: str, path: str, body: bytes | None) -> Any:
        tries = 0
        while True:
            try:
                return self._once(method, path, body)
            except ResponseError as error:
                seconds = self.pause(error, tries, method)
            time.sleep(seconds)
            tries += 1

    def _once(self, method: str, path: str, body: bytes | None) -> Any:
        url, headers = self.prepare(method, path, body)
        try:
            with self._http.stream(method, url, headers=dict(headers), content=body) as received:
                collected = Body()
                for part in received.iter_raw():
                    collected.add(part)
                response = collected.response(received)
        except FAILURES as error:
            raise self.way.failure(url, error) from error
        return self.read(url, response, headers)


class AsyncApi(Exchange):
    """The same for asyncio."""

    def __init__(self, url: str, sign: Sign = nobody, insecure_http: bool = False) -> None:
        super().__init__(url, sign, insecure_http)
        self._http = httpx.AsyncClient(**self.way.options)

    async def get(self, path: str) -> Any:
        """GET. Raises ResponseError."""
        return await self._send("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises ResponseError."""
        return await self._send("POST", path, to_body(body))

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def _send(self, method: str, path: str, body: bytes | None) -> Any:
        tries = 0
        while True:
            try:
                return await self._once(method, path, body)
            except ResponseError as error:
                seconds = self.pause(error, tries, method)
            await asyncio.sleep(seconds)
            tries += 1

    async def _once(self, method: str, path: str, body: bytes | None) -> Any:
        url, headers = self.prepare(method, path, body)
        try:
            async with self._http.stream(method, url, headers=dict(headers), content=body) as received:
                collected = Body()
                async for part in received.aiter_raw():
                    collected.add(part)
                response = collected.response(received)
        except FAILURES as error:
            raise self.way.failure(url, error) from error
        return self.read(url, response, headers)
