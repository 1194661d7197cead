"""The ways by which text leaves pytest itself: terminal, reports of tests, log records, warnings.

What the suite prints is cleaned where it is made. This is for everything else: captured output, logging of
libraries with --log-cli-level=DEBUG, the warnings' summary, tracebacks of mistakes with --showlocals, and
what -s, --capture=tee-sys, --debug and --full-trace show.
"""

from __future__ import annotations

import logging
import sys
import traceback
import types
from collections.abc import Callable, Generator, Iterable
from contextlib import ExitStack, redirect_stderr, redirect_stdout
from typing import Any, TextIO, cast

import pytest
from _pytest.capture import TeeCaptureIO

from acceptance.redaction import Redactor
from acceptance.report.text import visible

_Factory = Callable[..., logging.LogRecord]


class RedactedStream:
    """A text stream that writes no known secret.

    Args:
        clean: returns a text without secrets.
    """

    def __init__(self, stream: TextIO, clean: Callable[[str], str]) -> None:
        self._stream = stream
        self._clean = clean

    @property
    def buffer(self) -> _Bytes:
        """The same for bytes, which are taken for UTF-8."""
        return _Bytes(self)

    def write(self, text: str) -> int:
        """Write the text without secrets and return the length of what was given."""
        self._stream.write(self._clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write the lines without secrets."""
        self.write("".join(lines))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - whatever the stream has
        """Return anything else from the stream itself."""
        return getattr(self._stream, name)


class _Bytes:
    """What writes bytes to a redacted stream."""

    def __init__(self, stream: RedactedStream) -> None:
        self._stream = stream

    def write(self, raw: bytes) -> int:
        self._stream.write(bytes(raw).decode("utf-8", "backslashreplace"))
        return len(raw)

    def flush(self) -> None:
        self._stream.flush()


class Outlets:
    """A pytest plugin that lets a run's redactor see what pytest and the libraries would print."""

    def __init__(self, redactor: Redactor) -> None:
        self._redactor = redactor
        self._streams = ExitStack()
        self._reporter: Any = None
        self._factory: _Factory = logging.getLogRecordFactory()
        logging.setLogRecordFactory(self._record)
        sys.excepthook = self._crash

    def shown(self, text: str) -> str:
        """Return remote text as it may be printed: without secrets and without control characters."""
        return visible(self._redactor.clean(text))

    def _record(self, *args: Any, **kwargs: Any) -> logging.LogRecord:  # noqa: ANN401 - as logging defines it
        record = self._factory(*args, **kwargs)
        try:
            told = record.getMessage()
        except (TypeError, ValueError, LookupError):
            told = f"{record.msg} {record.args}"
        record.msg, record.args = self.shown(told), ()
        if record.exc_info:
            record.exc_text = self.shown(logging.Formatter().formatException(record.exc_info))
        return record

    def _crash(
        self, kind: type[BaseException], error: BaseException, trace: types.TracebackType | None
    ) -> None:
        """Print the traceback of a plugin that breaks when pytest no longer looks, at the very end."""
        sys.stderr.write(self.shown("".join(traceback.format_exception(kind, error, trace))))

    def pytest_configure(self, config: pytest.Config) -> None:
        """Put the redactor before the file of --debug, which tells what hooks are called with."""
        trace = config.trace.root
        if trace._writer is not None:
            write = trace._writer
            trace.setwriter(lambda text: write(self.shown(text)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionstart(self, session: pytest.Session) -> None:
        """Put the redactor before the terminal, and before what checks print themselves if it is shown."""
        reporter = self._reporter = session.config.pluginmanager.get_plugin("terminalreporter")
        if reporter is not None:
            reporter._tw._file = RedactedStream(reporter._tw._file, self._redactor.scrub)
        if session.config.option.capture == "no":
            streams = self._streams
            streams.enter_context(redirect_stdout(cast("TextIO", RedactedStream(sys.stdout, self.shown))))
            streams.enter_context(redirect_stderr(cast("TextIO", RedactedStream(sys.stderr, self.shown))))
        capture: Any = session.config.pluginmanager.get_plugin("capturemanager")
        for shown in (capture._global_capturing.out, capture._global_capturing.err):
            if shown is not None and isinstance(shown.tmpfile, TeeCaptureIO):
                shown.tmpfile._other = cast("TextIO", RedactedStream(shown.tmpfile._other, self.shown))

    @pytest.hookimpl(wrapper=True)
    def pytest_make_collect_report(self) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
        """Clean what a test file that cannot be collected is reported with."""
        report = yield
        if report.failed:
            report.longrepr = self.shown(report.longreprtext)
        self._clean_sections(report)
        return report

    @pytest.hookimpl(wrapper=True, tryfirst=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        """Clean captured output, of setup and teardown too."""
        report = yield
        self._clean_sections(report)
        return report

    def _clean_sections(self, report: pytest.CollectReport | pytest.TestReport) -> None:
        report.sections = [(title, self.shown(text)) for title, text in report.sections]

    @pytest.hookimpl(tryfirst=True)
    def pytest_warning_recorded(self, warning_message: Any) -> None:  # noqa: ANN401 - warnings.WarningMessage
        """Clean a warning before it is kept for the summary."""
        warning_message.message = UserWarning(self.shown(str(warning_message.message)))

    @pytest.hookimpl(tryfirst=True)
    def pytest_internalerror(self, excrepr: Any) -> None:  # noqa: ANN401 - whatever represents an exception
        """Clean a traceback of pytest or a plugin as a whole, before it is printed line by line."""
        self._clean_representation(excrepr)

    @pytest.hookimpl(wrapper=True)
    def pytest_keyboard_interrupt(self, excinfo: Any) -> Generator[None, object, object]:  # noqa: ANN401, ARG002
        """Clean the traceback of an interruption, which --full-trace shows with all arguments."""
        result = yield
        reporter = self._reporter
        told = reporter and reporter._keyboardinterrupt_memo
        if told and told.reprcrash:
            self._clean_representation(told)
            told.reprcrash.message = self.shown(told.reprcrash.message)
        return result

    def _clean_representation(self, representation: Any) -> None:  # noqa: ANN401 - an exception's
        told = self.shown(str(representation))
        vars(representation)["toterminal"] = lambda writer: writer.line(told)

    def pytest_unconfigure(self) -> None:
        """Give logging and the standard streams back."""
        logging.setLogRecordFactory(self._factory)
        self._streams.close()
