"""The gateway to a model: any OpenAI-compatible endpoint, bounded in time, retries and calls. Optional everywhere.

Every failure is Unavailable and means: go on without a model. Tests switch calls off, so that an unmocked one is an
error and not a bill.
"""

import asyncio
from typing import TYPE_CHECKING, Protocol

from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_exponential_jitter

from agents.masking import masked
from domain.errors import Broken, Unavailable

if TYPE_CHECKING:
    from openai import AsyncOpenAI

# A person waits for the proposal: two tries within half a minute in all, then the code's own words.
ATTEMPTS = 2
DEADLINE_S = 30.0
# Re-ranking a few candidates and three sentences of explanation fit well within this.
MAX_ANSWER_TOKENS = 800


class Chat(Protocol):
    """One question to a model."""

    @property
    def host(self) -> str:
        """The endpoint's host, compared with what a tenant allows."""
        ...

    async def ask(self, instructions: str, question: str) -> str:
        """Return the model's answer as it came. Raises Unavailable."""
        ...


class Switch:
    """Whether models may be called at all in this process."""

    def __init__(self) -> None:
        self.allowed = True

    def check(self) -> None:
        """Raise Broken when calls are switched off: whoever called should have been given a fake."""
        if not self.allowed:
            raise Broken("a model call that is not faked", reason="unmocked_model_call")


MODEL_CALLS = Switch()


class OpenAIChat:
    """An OpenAI-compatible endpoint. Address, key and model come from the settings through the constructor."""

    def __init__(
        self, *, base_url: str, api_key: str, model: str, deadline_s: float = DEADLINE_S, budget: int = 100
    ) -> None:
        from urllib.parse import urlsplit

        self.host = urlsplit(base_url).hostname or ""
        self._base_url, self._api_key, self._model = base_url, api_key, model
        self._deadline_s = deadline_s
        self._left = budget
        self._client: AsyncOpenAI | None = None

    async def ask(self, instructions: str, question: str) -> str:
        """Ask once, with everything masked; retried once when the endpoint does not answer."""
        MODEL_CALLS.check()
        if self._left <= 0:
            raise Unavailable("the budget of model calls is spent", reason="model_budget")
        self._left -= 1
        retrying = AsyncRetrying(
            stop=stop_after_attempt(ATTEMPTS),
            wait=wait_exponential_jitter(multiplier=0.2, max=2.0, jitter=0.2),
            retry=retry_if_exception_type(Unavailable),
            reraise=True,
        )
        self._open()  # importing the client takes seconds, which are not the endpoint's
        try:
            async with asyncio.timeout(self._deadline_s):
                return await retrying(self._once, masked(instructions), masked(question))
        except TimeoutError as error:
            raise Unavailable(f"no answer within {self._deadline_s:g} s", reason="model_timeout") from error

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
            self._client = None

    async def _once(self, instructions: str, question: str) -> str:
        from openai import OpenAIError

        try:
            answer = await self._open().chat.completions.create(
                model=self._model,
                messages=[{"role": "system", "content": instructions}, {"role": "user", "content": question}],
                response_format={"type": "json_object"},
                max_completion_tokens=MAX_ANSWER_TOKENS,
            )
        except OpenAIError as error:
            raise Unavailable(f"the model endpoint failed: {type(error).__name__}", reason="model_failed") from error
        choice = answer.choices[0] if answer.choices else None
        if choice is None or choice.finish_reason == "length" or not choice.message.content:
            raise Unavailable("the model gave no whole answer", reason="model_incomplete")
        return choice.message.content

    def _open(self) -> "AsyncOpenAI":
        if self._client is None:
            from openai import AsyncOpenAI

            # retries are ours: the client's own multiply the deadline
            self._client = AsyncOpenAI(
                base_url=self._base_url, api_key=self._api_key, max_retries=0, timeout=self._deadline_s
            )
        return self._client
