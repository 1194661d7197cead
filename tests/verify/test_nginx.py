"""Phase 1, step 1: the reverse proxy in front of the CRM."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.nginx import Nginx
from acceptance.facts.nginx_vhost import FORWARDED_HEADERS
from acceptance.facts.redirect import Redirect
from acceptance.target import Target

Route = Callable[[Target], str]

ROUTES = (
    pytest.param(lambda _: "/", id="pages"),
    pytest.param(lambda target: target.api.intake, id="intake"),
    pytest.param(lambda target: target.realtime.path, id="realtime"),
)
"""Paths that different locations of the vhost may serve."""


@pytest.mark.item("nginx.enabled")
def test_vhost_exists(nginx: Nginx) -> None:
    """The vhost is where an administrator looks for it.

    A vhost kept elsewhere is forgotten at the next change and lost at the next migration of the server.
    """
    nginx.require_vhost_file()
    verify(
        known(nginx.vhost_exists),
        expected=f"the file {nginx.vhost_file}",
        seen="it exists" if known(nginx.vhost_exists) else "no such file",
        source=nginx.vhost_source,
    )


@pytest.mark.item("nginx.enabled")
def test_vhost_is_linked(nginx: Nginx) -> None:
    """A link in sites-enabled leads to the vhost.

    A copy works today and silently ignores every later edit of the original.
    """
    enabled = nginx.enabled
    verify(
        enabled.holds,
        expected=f"a link in sites-enabled to {nginx.vhost_file}",
        seen=enabled.seen,
        source=enabled.source,
    )


@pytest.mark.item("nginx.enabled")
def test_vhost_is_included(nginx: Nginx) -> None:
    """The configuration includes what is enabled.

    A link that no include matches looks enabled and is never read.
    """
    nginx.require_vhost_file()
    included = nginx.included
    verify(
        included.holds,
        expected=f"{nginx.config} includes the vhost",
        seen=included.seen,
        source=included.source,
    )


@pytest.mark.item("nginx.valid")
def test_configuration_parses(nginx: Nginx) -> None:
    """The configuration parses as a whole.

    nginx keeps running on the old configuration when the new one is wrong; the mistake then surfaces at the
    next restart, and takes every site of the server down.
    """
    parsed = nginx.parsed
    verify(parsed.holds, expected="a configuration without errors", seen=parsed.seen, source=parsed.source)


@pytest.mark.item("nginx.valid")
def test_named_files_exist(nginx: Nginx) -> None:
    """Every file that the configuration names exists.

    A missing certificate or key lets the next reload fail and the next restart stay down.
    """
    files = nginx.missing_files
    verify(files.holds, expected="every file it names exists", seen=files.seen, source=files.source)


@pytest.mark.item("nginx.valid")
def test_nginx_accepts_it(nginx: Nginx) -> None:
    """`nginx -t` accepts the configuration, where running it was approved.

    Only nginx itself knows its modules, and whether certificate and key belong together.
    """
    accepted = nginx.accepted
    verify(
        accepted.holds,
        expected="nginx -t exits with 0, if approved",
        seen=accepted.seen,
        source=accepted.source,
    )


@pytest.mark.item("nginx.redirect")
def test_redirects_root(redirect: Redirect) -> None:
    """Plain HTTP for the first page is sent to https on the same host.

    People type the name without https; what is not redirected is served in the clear or not at all.
    """
    verify(
        redirect.sends_to_https(redirect.root),
        expected=f"a redirect to {redirect.secure(redirect.root)}",
        seen=redirect.root.seen,
        source=redirect.root.source,
    )


@pytest.mark.item("nginx.redirect")
def test_redirects_path_and_query(redirect: Redirect) -> None:
    """The redirect keeps path and query.

    Links in mails that were sent long ago point to http; a redirect that drops the path loses them all.
    """
    verify(
        redirect.sends_to_https(redirect.deep),
        expected=f"a redirect to {redirect.secure(redirect.deep)}",
        seen=redirect.deep.seen,
        source=redirect.deep.source,
    )


@pytest.mark.item("nginx.redirect")
def test_challenge_can_be_answered(redirect: Redirect) -> None:
    """The certificate authority's challenge can be answered, so that renewal works.

    A challenge that cannot be answered is noticed only when the certificate expires.
    """
    verify(
        redirect.challenge_can_be_answered,
        expected="the challenge's location is served, or redirected while certbot renews with nginx",
        seen=redirect.challenge_seen,
        source=redirect.acme.source,
    )


@pytest.mark.item("nginx.loaded")
def test_running_nginx_has_read_its_files(nginx: Nginx) -> None:
    """The running nginx is not older than its files.

    What was edited and not reloaded is not in force, and `nginx -t` does not notice: everything else that
    is read from the files would be a statement about the future.
    """
    loaded = nginx.loaded
    verify(
        loaded.holds,
        expected="no configuration file changed after nginx was started or reloaded",
        seen=loaded.seen,
        source=loaded.source,
    )


@pytest.mark.item("nginx.upstream")
@pytest.mark.parametrize("route", ROUTES)
def test_requests_reach_the_app(nginx: Nginx, target: Target, route: Route) -> None:
    """Requests go to the app's port on loopback and nowhere else.

    Another port is another site's app, or nothing: the visitor gets a stranger's page or a 502.
    """
    wanted = f"{target.nginx.upstream.address}:{target.nginx.upstream.port}"
    destinations = nginx.vhost.location(route(target)).destinations
    verify(
        destinations.value == frozenset({wanted}),
        expected=f"{route(target)} is passed to {wanted} only",
        seen=destinations.text,
        source=destinations.source,
    )


@pytest.mark.item("nginx.upstream")
@pytest.mark.parametrize("route", ROUTES)
def test_requests_keep_their_path(nginx: Nginx, target: Target, route: Route) -> None:
    """The app sees the path that the client asked for.

    A URI after the port in proxy_pass replaces the path, and every route but the first page is gone.
    """
    kept = nginx.vhost.location(route(target)).keeps_path
    verify(
        kept.value, expected=f"{route(target)} reaches the app unchanged", seen=kept.text, source=kept.source
    )


@pytest.mark.item("nginx.upstream")
@pytest.mark.parametrize("route", ROUTES)
def test_nginx_does_not_answer_itself(nginx: Nginx, target: Target, route: Route) -> None:
    """Nothing in the vhost answers before the app is asked.

    A `return` left over from maintenance wins over proxy_pass.
    """
    answered = nginx.vhost.location(route(target)).answered_here
    verify(
        not answered.value,
        expected=f"no return for {route(target)}",
        seen=answered.text,
        source=answered.source,
    )


@pytest.mark.item("nginx.headers")
@pytest.mark.parametrize("header", FORWARDED_HEADERS)
@pytest.mark.parametrize("route", ROUTES)
def test_header_is_passed_on(nginx: Nginx, target: Target, route: Route, header: str) -> None:
    """The app learns the host, the scheme and the client's address of each request.

    Without them it builds links to 127.0.0.1, refuses its own origin, and limits all visitors as if they
    were one.
    """
    carried = nginx.vhost.location(route(target)).carries(header)
    verify(
        carried.value,
        expected=f"{header} is set from the request for {route(target)}",
        seen=carried.text,
        source=carried.source,
    )


@pytest.mark.item("nginx.websocket")
def test_websocket_version(nginx: Nginx, target: Target) -> None:
    """The proxy speaks HTTP/1.1 to the app.

    Version 1.0 knows no upgrade; some servers accept it all the same, until they are updated.
    """
    version = nginx.vhost.location(target.realtime.path).http_version
    verify(
        version.value == "1.1", expected="proxy_http_version 1.1", seen=version.text, source=version.source
    )


@pytest.mark.item("nginx.websocket")
def test_websocket_upgrade(nginx: Nginx, target: Target) -> None:
    """The client's wish for a websocket is passed on.

    Upgrade is a header of one hop: nginx drops it unless it is told otherwise, and realtime silently falls
    back to polling.
    """
    upgrade = nginx.vhost.location(target.realtime.path).carries("Upgrade")
    verify(
        upgrade.value,
        expected=f"proxy_set_header Upgrade $http_upgrade for {target.realtime.path}",
        seen=upgrade.text,
        source=upgrade.source,
    )


@pytest.mark.item("nginx.websocket")
def test_websocket_connection(nginx: Nginx, target: Target) -> None:
    """The connection to the app is announced as an upgrade.

    nginx closes its connections to the app by default, and an Upgrade without `Connection: upgrade` is void.
    """
    connection = nginx.vhost.location(target.realtime.path).upgrade_connection
    verify(
        connection.value,
        expected=f"proxy_set_header Connection upgrade for {target.realtime.path}",
        seen=connection.text,
        source=connection.source,
    )


@pytest.mark.item("nginx.limits")
@pytest.mark.parametrize("route", ROUTES)
def test_body_size(nginx: Nginx, target: Target, route: Route) -> None:
    """Uploads of the declared size pass.

    nginx's default of 1 MB refuses nearly every contract and photo with 413.
    """
    size = nginx.vhost.location(route(target)).body_size
    verify(
        size.value == target.nginx.body_size_mb * 1024 * 1024,
        expected=f"client_max_body_size {target.nginx.body_size_mb}M for {route(target)}",
        seen=size.text,
        source=size.source,
    )


@pytest.mark.item("nginx.limits")
@pytest.mark.parametrize("route", ROUTES)
def test_read_timeout(nginx: Nginx, target: Target, route: Route) -> None:
    """Slow answers are waited for.

    After nginx's default of 60 seconds an export ends in a 504, and an idle websocket is cut.
    """
    timeout = nginx.vhost.location(route(target)).read_timeout
    verify(
        timeout.value == target.nginx.read_timeout_s,
        expected=f"proxy_read_timeout {target.nginx.read_timeout_s} for {route(target)}",
        seen=timeout.text,
        source=timeout.source,
    )


@pytest.mark.item("nginx.limits")
@pytest.mark.parametrize("route", ROUTES)
def test_buffering(nginx: Nginx, target: Target, route: Route) -> None:
    """Answers are passed on as they come.

    A buffered stream of events reaches the browser in lumps, or when it ends.
    """
    buffering = nginx.vhost.location(route(target)).buffering
    verify(
        not buffering.value,
        expected=f"proxy_buffering off for {route(target)}",
        seen=buffering.text,
        source=buffering.source,
    )
