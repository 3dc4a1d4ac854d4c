"""The agents' tokens: with a file of them the local port knows which agent calls; without one it believes what is said.

```toml
it-admin = "41n3…"
secretary = "9fQx…"
```
"""

from __future__ import annotations

import hmac
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from protocol.faults import Forbidden, Unauthorized
from wrapper.keyring import Secret

_LIMIT_BYTES: Final = 256 * 1024
_FIT: Final = re.compile(r"[!-~]{32,200}")
#: Others may not read it, and nobody but its owner may write it. A group's right to read is how systemd hands a
#: credential to the service's user.
_FORBIDDEN_MODE: Final = 0o027


class AgentTokensWrong(Exception):
    """The file of tokens cannot be used; the words name file and agent, and never a token."""


class AgentTokens:
    """Whose token it is.

    Args:
        tokens: by agent.
    """

    def __init__(self, tokens: Mapping[str, Secret]) -> None:
        self._tokens = dict(tokens)

    def owner(self, headers: Mapping[str, str]) -> str:
        """The agent that calls.

        Raises:
            Unauthorized: there is no token, or it is nobody's.
        """
        scheme, _, given = headers.get("authorization", "").partition(" ")
        found = None
        for agent_id, token in self._tokens.items():  # all of them, so that time tells nothing
            if hmac.compare_digest(token.reveal().encode(), given.strip().encode()):
                found = agent_id
        if found is None or scheme.lower() != "bearer":
            raise Unauthorized("the header must be Authorization: Bearer, with the agent's own token")
        return found

    def demand(self, headers: Mapping[str, str], agent_id: str) -> None:
        """Refuse whoever is not this agent.

        Raises:
            Unauthorized: as `owner`.
            Forbidden: it is another agent.
        """
        owner = self.owner(headers)
        if owner != agent_id:
            raise Forbidden(f"the token is that of {owner}, and opens nothing for {agent_id[:100]}")


def read_agent_tokens(path: Path) -> AgentTokens:
    """Read the file.

    Raises:
        AgentTokensWrong: it cannot be used.
    """
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & _FORBIDDEN_MODE:
                raise AgentTokensWrong(f"{path} may be read or changed by others: chmod 0600")
            text = file.read(_LIMIT_BYTES + 1)
        if len(text) > _LIMIT_BYTES:
            raise AgentTokensWrong(f"{path} has more than {_LIMIT_BYTES} bytes")
        table = tomllib.loads(text.decode())
    except OSError as error:
        raise AgentTokensWrong(f"{path} cannot be read: {error.strerror or error}") from error
    except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError):
        # The parser's words could quote a token.
        raise AgentTokensWrong(f'{path} is not TOML with lines as: it-admin = "token"') from None
    tokens: dict[str, Secret] = {}
    for agent_id, token in table.items():
        if not isinstance(token, str) or not _FIT.fullmatch(token):
            raise AgentTokensWrong(f"{path}: the token of {agent_id} must be 32 to 200 visible ASCII characters")
        if any(token == other.reveal() for other in tokens.values()):
            raise AgentTokensWrong(f"{path}: {agent_id} has the token of another agent")
        tokens[agent_id] = Secret(token)
    if not tokens:
        raise AgentTokensWrong(f"{path} holds no token, so that nobody could ask")
    return AgentTokens(tokens)
