"""Mail through an SMTP server (RFC 5321): one connection a mail, in a thread that is never waited for too long."""

from __future__ import annotations

import contextlib
import smtplib
import socket
import ssl
from typing import Final

import trio

from controlplane.integrations.mail_carrier import CarrierDown, MailDeferred, MailRefused, Message, reply_of
from controlplane.mail_route import Security, SmtpRoute

#: How long the server may be silent.
SILENCE_SECONDS: Final = 15.0
#: How long one mail may take altogether.
WHOLE_SECONDS: Final = 60.0
_GOODBYE_SECONDS: Final = 2.0
#: Threads at a time; one that was given up counts until its server has been silent for long enough.
_THREADS: Final = 8
_READY: Final = 220
_SHUTTING_DOWN: Final = 421
_AUTHENTICATION_REQUIRED: Final = 530
_TOO_LARGE: Final = 552


class SmtpCarrier:
    """Sends mail by one server.

    Args:
        hello_name: how we call ourselves in EHLO.
        context: whom to trust; the system's certificate authorities by default.
        silence_seconds: how long the server may be silent.
        whole_seconds: how long one mail may take altogether.
    """

    def __init__(
        self,
        route: SmtpRoute,
        *,
        hello_name: str,
        context: ssl.SSLContext | None = None,
        silence_seconds: float = SILENCE_SECONDS,
        whole_seconds: float = WHOLE_SECONDS,
    ) -> None:
        self._route = route
        self._hello_name = hello_name
        self._context = ssl.create_default_context() if context is None else context
        self._silence_seconds = silence_seconds
        self._whole_seconds = whole_seconds
        self._limiter = trio.CapacityLimiter(_THREADS)

    def __str__(self) -> str:
        return str(self._route)

    async def send(self, message: Message) -> None:
        """See `Carrier`. A cancelled call cuts the connection; the server may have taken the mail all the same."""
        await self._run(message)

    async def check(self) -> str:
        """Connect, secure the connection, sign in, and leave."""
        await self._run(None)
        signed_in = "" if self._route.user is None else f" and signs {self._route.user} in"
        return f"{self._route.host}:{self._route.port} answers{signed_in}"

    @property
    def busy(self) -> int:
        """Threads that talk to the server, given up or not."""
        return self._limiter.borrowed_tokens

    async def _run(self, message: Message | None) -> None:
        exchange = _Exchange(self._route, self._hello_name, self._context, self._silence_seconds)
        try:
            with trio.fail_after(self._whole_seconds):
                await trio.to_thread.run_sync(exchange.run, message, abandon_on_cancel=True, limiter=self._limiter)
        except trio.TooSlowError:
            raise CarrierDown(f"the mail server did not finish within {self._whole_seconds:g} s") from None
        finally:
            exchange.cut()


class _Exchange:
    """One connection, on a thread of its own; `cut` may be called from another."""

    def __init__(self, route: SmtpRoute, hello_name: str, context: ssl.SSLContext, silence_seconds: float) -> None:
        self._route = route
        self._context = context
        self._is_cut = False
        self._socket: socket.socket | None = None
        # It never connects by itself: so its socket is ours, from the first moment, to cut.
        self._smtp = smtplib.SMTP(local_hostname=hello_name, timeout=silence_seconds)
        self._silence_seconds = silence_seconds

    def cut(self) -> None:
        """Wake the thread from whatever it waits for."""
        self._is_cut = True
        if self._socket is not None:
            # The plain socket's: an SSLSocket would also drop what its thread is just using.
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def run(self, message: Message | None) -> None:
        """Send one mail, or none.

        Raises:
            MailRefused, MailDeferred, CarrierDown: as of `Carrier.send`.
        """
        email = None if message is None else message.email()
        try:
            self._open()
            if message is not None and email is not None:
                # Only this step is about the mail: what went wrong before is nobody's fault but the server's or ours.
                try:
                    self._smtp.send_message(email, message.sender.addr_spec, [message.recipient])
                except smtplib.SMTPNotSupportedError as error:
                    raise MailRefused("its recipient's address needs SMTPUTF8, which the server lacks") from error
            self._say_goodbye()
        except smtplib.SMTPRecipientsRefused as error:
            [(code, said)] = error.recipients.values()
            raise _judge(code, said) from error
        except smtplib.SMTPDataError as error:
            raise _judge(error.smtp_code, error.smtp_error) from error
        except smtplib.SMTPSenderRefused as error:
            if error.smtp_code == _TOO_LARGE:
                raise MailRefused(reply_of(error.smtp_code, error.smtp_error)) from error
            raise CarrierDown(f"our sender is refused: {reply_of(error.smtp_code, error.smtp_error)}") from error
        except smtplib.SMTPAuthenticationError as error:
            raise CarrierDown(f"our sign-in is refused: {reply_of(error.smtp_code, error.smtp_error)}") from error
        except smtplib.SMTPResponseException as error:
            raise CarrierDown(f"the server said {reply_of(error.smtp_code, error.smtp_error)}") from error
        except smtplib.SMTPException as error:
            raise CarrierDown(f"the server: {reply_of(0, str(error))[2:]}") from error
        except ssl.SSLError as error:
            raise CarrierDown(f"no secure connection: {error.reason or error}") from error
        except (OSError, UnicodeError) as error:
            raise CarrierDown(f"not reachable: {getattr(error, 'strerror', None) or error}") from error
        finally:
            self._smtp.close()

    def _open(self) -> None:
        route = self._route
        self._take(socket.create_connection((route.host, route.port), timeout=self._silence_seconds))
        if route.security is Security.TLS:
            self._secure()
        code, said = self._smtp.getreply()
        if code != _READY:
            raise smtplib.SMTPConnectError(code, said)
        self._smtp.ehlo_or_helo_if_needed()
        if route.security is Security.STARTTLS:
            if not self._smtp.has_extn("starttls"):
                raise CarrierDown("the server offers no STARTTLS; smtps:// may be what it speaks")
            code, said = self._smtp.docmd("STARTTLS")
            if code != _READY:
                raise smtplib.SMTPResponseException(code, said)
            self._secure()
            # What was said in the clear counts for nothing (RFC 3207 section 4.2).
            self._smtp.helo_resp = self._smtp.ehlo_resp = None
            self._smtp.esmtp_features = {}
            self._smtp.does_esmtp = False
            self._smtp.ehlo_or_helo_if_needed()
        if route.user is not None and route.password is not None:
            self._smtp.login(route.user, route.password.reveal())

    def _secure(self) -> None:
        plain = self._smtp.sock
        assert plain is not None
        secure = self._context.wrap_socket(plain, server_hostname=self._route.host, do_handshake_on_connect=False)
        self._take(secure)
        secure.do_handshake()

    def _take(self, connected: socket.socket) -> None:
        self._socket = self._smtp.sock = connected
        self._smtp.file = None  # what was read ahead belongs to the former socket
        if self._is_cut:
            raise CarrierDown("the connection was given up")

    def _say_goodbye(self) -> None:
        """The mail is theirs already: nothing that goes wrong here changes that."""
        with contextlib.suppress(smtplib.SMTPException, OSError):
            if self._socket is not None:
                self._socket.settimeout(_GOODBYE_SECONDS)
            self._smtp.quit()


def _judge(code: int, said: bytes | str) -> MailRefused | MailDeferred | CarrierDown:
    """What a refusal of a recipient or of a content means (RFC 5321 section 4.2.1)."""
    reply = reply_of(code, said)
    if code in (_SHUTTING_DOWN, _AUTHENTICATION_REQUIRED):
        return CarrierDown(reply)
    return MailRefused(reply) if 500 <= code < 600 else MailDeferred(reply)
