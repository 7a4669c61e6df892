"""Send requests to the API: JSON in both directions, retries while it is busy, its own message in an exception."""

import asyncio
import os
import time
from typing import Any
from weakref import WeakKeyDictionary

import httpx

from openclip_lambda.credentials import Sign, unsigned
from openclip_lambda.errors import ResponseError
from openclip_lambda.exchange import Exchange, to_body
from openclip_lambda.transport import FAILURES, Body


class Api(Exchange):
    """An API that several threads may ask at once, and processes that were forked from one another.

    Raises ClientError for an address that cannot be used.
    """

    def __init__(self, url: str, sign: Sign = unsigned, insecure_http: bool = False) -> None:
        super().__init__(url, sign, insecure_http)
        self._of_process = os.getpid(), httpx.Client(**self.transport.options)

    def get(self, path: str) -> Any:
        """GET. Raises ResponseError."""
        return self._send("GET", path, None)

    def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises ResponseError."""
        return self._send("POST", path, to_body(body))

    def close(self) -> None:
        """Close the connections."""
        self._http().close()

    def _http(self) -> httpx.Client:
        """Return the connections of this process. A forked child must not use its parent's: responses would mix."""
        if self._of_process[0] != os.getpid():
            self._of_process = os.getpid(), httpx.Client(**self.transport.options)
        return self._of_process[1]

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
            with self._http().stream(method, url, headers=dict(headers), content=body) as received:
                collected = Body()
                for part in received.iter_raw():
                    collected.add(part)
                response = collected.response(received)
        except FAILURES as error:
            raise self.transport.failure(url, error) from error
        return self.read(url, response, headers)


class AsyncApi(Exchange):
    """The same for asyncio; it may be used in several event loops, one after another or at once."""

    def __init__(self, url: str, sign: Sign = unsigned, insecure_http: bool = False) -> None:
        super().__init__(url, sign, insecure_http)
        self._of_loop: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = WeakKeyDictionary()
        self._closed = False

    async def get(self, path: str) -> Any:
        """GET. Raises ResponseError."""
        return await self._send("GET", path, None)

    async def post(self, path: str, body: Any) -> Any:
        """POST a JSON body. Raises ResponseError."""
        return await self._send("POST", path, to_body(body))

    async def close(self) -> None:
        """Close the connections of the running loop; those of a loop that has ended are closed."""
        self._closed = True
        if http := self._of_loop.pop(asyncio.get_running_loop(), None):
            await http.aclose()

    def _http(self) -> httpx.AsyncClient:
        """Return the connections of the running loop: those of another loop, which may be closed, cannot be used."""
        if self._closed:
            raise RuntimeError("this client was closed: make another")
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            self._of_loop[loop] = httpx.AsyncClient(**self.transport.options)
        return self._of_loop[loop]

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
            async with self._http().stream(method, url, headers=dict(headers), content=body) as received:
                collected = Body()
                async for part in received.aiter_raw():
                    collected.add(part)
                response = collected.response(received)
        except FAILURES as error:
            raise self.transport.failure(url, error) from error
        return self.read(url, response, headers)
