"""The whole rehearsal: prepares and starts its services side by side, and hands them to the faults."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from acceptance.options import REHEARSED_STAGE
from rehearsal.faults.base import Course
from rehearsal.faults.catalogue import FAULTS
from rehearsal.host.daemon import HostTools
from rehearsal.instances import Instance
from rehearsal.runtime.process import RehearsalError, RunningContainer, RunningProgram, Runtime, Unit
from rehearsal.services import (
    app,
    gitea,
    nginx,
    outside,
    pki,
    postgres,
    redis,
    registry,
    s3,
    sshd,
    target,
    website,
)
from rehearsal.services.resolver import Resolver
from rehearsal.site import APP, WEBSITE, Site
from rehearsal.stages import STAGES

Progress = Callable[[str], None]


@dataclass(frozen=True)
class Step:
    """One step of the boot.

    Attributes:
        after: names of the steps that must be done before.
        shown: False for a step that an observer need not hear of.
    """

    name: str
    run: Callable[[], object]
    after: Sequence[str] = ()
    shown: bool = True


def run_steps(steps: Sequence[Step], progress: Progress) -> None:
    """Run steps, each in its own thread as soon as what it needs is done.

    Raises:
        RehearsalError: a step failed; the text names it. Steps that depend on it do not run.
    """
    done = {step.name: threading.Event() for step in steps}
    failures: list[tuple[str, BaseException]] = []

    def run(step: Step) -> None:
        for name in step.after:
            done[name].wait()
        if not failures:
            begun = time.monotonic()
            try:
                step.run()
            except BaseException as error:
                failures.append((step.name, error))
            else:
                if step.shown:
                    progress(f"{step.name} {time.monotonic() - begun:.1f} s")
        done[step.name].set()

    threads = [threading.Thread(target=run, args=(step,), daemon=True) for step in steps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        name, error = failures[0]
        raise RehearsalError(f"{name}: {error}") from error


class Stack:
    """Everything of one rehearsal, as faults see it.

    Attributes:
        site: paths, addresses, credentials.
        runtime: what runs. tools: the stand-ins for `docker` and `systemctl`. resolver: knows the names.
        target_file: the target file that describes it.
        stage: of the website's cutover.
        documenso: the Documenso beside the CRM, if there is one.
    """

    def __init__(self, site: Site, stage: int = REHEARSED_STAGE, documenso: Instance | None = None) -> None:
        self.site = site
        self.stage = stage
        self.documenso = documenso
        self.runtime = Runtime(site)
        self.runtime.units["certbot.timer"] = Unit("certbot.timer")
        self.target_file = site.root / "target.toml"
        self.tools: HostTools | None = None
        self.resolver: Resolver | None = None
        self._injected: dict[str, Course] = {}
        self._lock = threading.Lock()

    def boot(self, progress: Progress) -> None:
        """Start everything and write the target file.

        Raises:
            RehearsalError: a service did not come up; the text says which and why.
        """
        site, runtime = self.site, self.runtime
        progress(f"on {site.net}.*, by the machine's clock in UTC, locale C.UTF-8")
        made: dict[str, Any] = {}

        def put(name: str, make: Callable[[], object]) -> Callable[[], None]:
            def run() -> None:
                made[name] = make()

            return run

        def program(module: Any) -> Callable[[], object]:  # noqa: ANN401 - one of the services' modules
            return lambda: runtime.run_program(module.program(site))

        def container(make: Callable[..., Any], service: str) -> Callable[[], object]:
            return lambda: runtime.run_container(make(site, made["images"][service]))

        def make_manifest() -> None:
            postgres.make_manifest(site, made["images"][APP].labels[registry.REVISION])

        def start_gitea() -> None:
            gitea.prepare(site, made["images"][APP].labels[registry.REVISION])
            runtime.run_program(gitea.program(site))

        def start_resolver() -> None:
            self.resolver = Resolver(site)

        def start_tools() -> None:
            self.tools = HostTools(site, runtime)

        def start_website() -> None:
            website.prepare(site, self.stage)
            runtime.run_container(website.container(site, self.stage))

        steps = (
            Step("registry", program(registry)),
            Step("images", put("images", lambda: registry.push_all(site)), ("registry",)),
            Step("database cluster", lambda: postgres.initialise(site)),
            Step("object store", program(s3)),
            Step("stored files", put("files", lambda: s3.load(site)), ("object store",)),
            Step("certificates", lambda: pki.create(site)),
            Step("Gitea", start_gitea, ("images",)),
            Step("resolver", start_resolver, shown=False),
            Step("registry login", lambda: registry.write_login(site), shown=False),
            Step("nginx configuration", lambda: nginx.prepare(site), shown=False),
            Step("nginx", program(nginx), ("certificates", "nginx configuration")),
            Step("sshd configuration", lambda: sshd.prepare(site), shown=False),
            Step("sshd", program(sshd), ("sshd configuration",)),
            Step("deploy directory", lambda: app.prepare(site), shown=False),
            Step("docker and systemctl", start_tools, shown=False),
            Step("redis", container(redis.container, "redis"), ("images",)),
            Step("postgres", container(postgres.container, "postgres"), ("images", "database cluster")),
            Step("schema manifest", make_manifest, ("postgres", "images"), shown=False),
            Step("data", lambda: postgres.load(site, made["files"]), ("postgres", "stored files")),
            Step("setting of the stage", self._set_crm, ("data",), shown=False),
            Step("outside", program(outside), shown=False),
            Step("website", start_website),
            Step("crm-app", container(app.crm_app, "crm-app"), ("data", "redis", "deploy directory")),
            Step(
                "crm-worker", container(app.crm_worker, "crm-worker"), ("data", "redis", "deploy directory")
            ),
            Step("target file", self._write_target, ("sshd configuration", "database cluster"), shown=False),
            *(self._documenso_steps(self.documenso) if self.documenso else ()),
        )
        run_steps(steps, progress)

    def _documenso_steps(self, instance: Instance) -> Sequence[Step]:
        from rehearsal.services import documenso  # noqa: PLC0415 - sealing takes half a second to load

        site, run = self.site, self.runtime.run_container
        ready = ("Documenso's database", "Documenso's directory", "object store")
        return (
            Step(
                "Documenso's cluster",
                lambda: postgres.initialise(site, documenso.cluster(instance)),
                shown=False,
            ),
            Step("Documenso's directory", lambda: documenso.prepare(site, instance), shown=False),
            Step(
                "Documenso's database",
                lambda: run(documenso.database(site, instance)),
                ("Documenso's cluster",),
            ),
            Step("Documenso's documents", lambda: documenso.load(site, instance), ready),
            Step(
                "Documenso",
                lambda: run(documenso.container(site, instance)),
                ("Documenso's documents", "nginx"),
            ),
        )

    def _write_target(self) -> None:
        self.target_file.touch(mode=0o600)
        self.target_file.write_text(target.document(self.site, self.stage, self.documenso), encoding="utf-8")

    def _set_crm(self) -> None:
        postgres.set_intake_mails(self.site, enabled=STAGES[self.stage].crm_sends_mails)

    def go_to_stage(self, stage: int) -> None:
        """Set the website and the CRM as a stage of the cutover has them, and declare it.

        The website's container is made anew; the CRM reads its setting with each inquiry.

        Raises:
            RehearsalError: there is no such stage, or a fault is injected, whose undoing would undo this too.
        """
        if stage not in range(len(STAGES)):
            raise RehearsalError(f"there is no stage {stage}; they are 0 to {len(STAGES) - 1}")
        with self._lock:
            if self._injected:
                raise RehearsalError(f"revert {', '.join(self._injected)} before going to another stage")
            self.stage = stage
            self._set_crm()
            variables = website.environment(self.site, stage)
            website.write_env(self.site, variables)
            self.container(WEBSITE).recreate(env=website.container_env(self.site, variables))
            self._write_target()

    def program(self, name: str) -> RunningProgram:
        """Return a program of the server: nginx, sshd, s3, registry, gitea, outside.

        Raises:
            KeyError: there is none of that name.
        """
        return self.runtime.programs[name]

    def container(self, service: str) -> RunningContainer:
        """Return a container: postgres, redis, crm-app, crm-worker, website.

        Raises:
            KeyError: there is none of that name.
        """
        return self.runtime.containers[service]

    def unit(self, name: str) -> Unit:
        """Return a declared systemd unit that is no process, like certbot.timer.

        Raises:
            KeyError: there is none of that name.
        """
        return self.runtime.units[name]

    def stop_engine(self) -> None:
        """Have `docker` say that its engine does not run; the containers run on."""
        assert self.tools is not None
        self.tools.stop_engine()

    def start_engine(self) -> None:
        """Have the engine answer again."""
        assert self.tools is not None
        self.tools.start_engine()

    def describe(self) -> Mapping[str, object]:
        """Return what runs, for an observer: state and process id of each part, injected faults."""
        return {
            "root": str(self.site.root),
            "target_file": str(self.target_file),
            "pid": os.getpid(),
            "stage": self.stage,
            "programs": {name: program.pid for name, program in self.runtime.programs.items()},
            "containers": {
                name: {"id": container.id, "state": container.state, "pid": container.pid}
                for name, container in self.runtime.containers.items()
            },
            "faults": sorted(self._injected),
        }

    def inject(self, name: str) -> None:
        """Inject a fault.

        Raises:
            RehearsalError: there is no such fault, it is injected already, or it needs root.
        """
        if name not in FAULTS:
            raise RehearsalError(
                f"there is no fault {name!r}; `acceptance rehearse --list-faults` lists them"
            )
        fault = FAULTS[name]
        if fault.root_only and not self.site.as_root:
            raise RehearsalError(f"the fault {name!r} needs a rehearsal that root runs")
        with self._lock:
            if name in self._injected:
                raise RehearsalError(f"the fault {name!r} is injected already")
            course = fault.course(self)
            next(course)
            self._injected[name] = course

    def revert(self, name: str) -> None:
        """Undo an injected fault.

        Raises:
            RehearsalError: it is not injected.
        """
        with self._lock:
            if name not in self._injected:
                raise RehearsalError(f"the fault {name!r} is not injected")
            next(self._injected.pop(name), None)

    def close(self) -> None:
        """End everything that was started."""
        if self.tools is not None:
            self.tools.close()
        self.runtime.close()


def list_faults() -> list[dict[str, object]]:
    """Return every fault with what an operator would notice and what it turns red."""
    return [
        {
            "name": fault.name,
            "notice": fault.notice,
            "reddens": list(fault.reddens),
            "touches": list(fault.touches),
            "blinds": fault.blinds,
            "root_only": fault.root_only,
            "stage": fault.stage,
        }
        for fault in FAULTS.values()
    ]
