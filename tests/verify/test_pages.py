"""Do the pages look and behave as people need them, in a real browser?"""

from __future__ import annotations

import pytest

from acceptance.check import verify
from acceptance.facts.base import known
from acceptance.facts.origin import Origin
from acceptance.facts.pages import Pages
from acceptance.facts.session import Session


@pytest.mark.item("pages.login")
def test_login_page_has_its_form(pages: Pages) -> None:
    """The login page comes and shows a form with e-mail, password and a button.

    Nobody gets any further without it; a page that answers 200 may still be empty.
    """
    login = known(pages.login)
    verify(
        login.page.status() == 200 and not login.lacking,
        expected="HTTP 200 with e-mail field, password field and submit button",
        seen=login.summary,
        source=login.page.source,
    )


@pytest.mark.item("pages.login")
def test_login_page_runs_without_errors(pages: Pages) -> None:
    """No request of the login page fails, and no script of it does.

    A script that fails leaves a form that looks right and does nothing; scripts that are not found mean
    that page and image are of different builds.
    """
    login = known(pages.login)
    troubles = login.page.troubles()
    verify(
        not troubles,
        expected="no failed request, no uncaught exception, nothing logged as an error",
        seen="; ".join(troubles[:5]) or f"{login.page.way}, none of them",
        source=login.page.source,
    )


@pytest.mark.item("pages.branding")
def test_logo_is_drawn(pages: Pages) -> None:
    """The logo is loaded, visible and larger than a placeholder.

    A picture that is missing in the image, or one pixel that stands in for it, leaves a gap on every page.
    """
    login = known(pages.login)
    verify(
        login.logo.judged(),
        expected=f"{login.logo.wanted} visible, at least 16×16 pixels, its own size too",
        seen=login.logo.seen,
        source=login.page.source,
    )


@pytest.mark.item("pages.branding")
def test_title_is_the_brands(pages: Pages) -> None:
    """The login page's title names the product.

    It is what stands in the browser's tab, bookmarks and search results.
    """
    login = known(pages.login)
    verify(
        login.title.judged(),
        expected=f"a title with {login.title.wanted}",
        seen=login.title.seen,
        source=login.page.source,
    )


@pytest.mark.item("pages.branding")
def test_brand_colour_is_used(pages: Pages) -> None:
    """The brand's colour is where it belongs.

    Another colour means that the style sheet did not load, or that another brand's settings are in force.
    """
    login = known(pages.login)
    verify(
        login.colour.judged(),
        expected=f"{login.colour.wanted}",
        seen=login.colour.seen,
        source=login.page.source,
    )


@pytest.mark.item("pages.guarded")
def test_guarded_page_leads_to_login(pages: Pages) -> None:
    """Without a session an app page leads to the login page.

    The plan goes live with customers' data behind it.
    """
    guarded = known(pages.guarded)
    verify(
        guarded.answered(),
        expected="the login page",
        seen=guarded.page.way,
        source=guarded.page.source,
    )


@pytest.mark.item("pages.guarded")
def test_guarded_page_sends_no_data(pages: Pages) -> None:
    """Without a session nothing of the page's data is sent, not even beneath a redirect in the browser.

    A page that is sent and hidden by a script can be read by anybody. What data looks like in a page was
    tried on the signed-in page, where there is one.
    """
    guarded = known(pages.guarded)
    verify(
        guarded.is_empty(),
        expected="no data in HTML or payload, and none on the screen",
        seen=guarded.summary,
        source=guarded.page.source,
    )


@pytest.mark.item("pages.cookies")
def test_session_cookie_is_protected(session: Session) -> None:
    """The session cookie is Secure, HttpOnly and SameSite.

    Whether it is Secure follows the app's base URL and not the request: an http base URL behind TLS sends
    sessions over plain connections too.
    """
    verify(
        session.protected(),
        expected="Secure, HttpOnly, SameSite=Lax or Strict",
        seen=session.attributes,
        source=session.source,
    )


@pytest.mark.item("pages.cookies")
def test_public_origin_is_trusted(origin: Origin) -> None:
    """The sign-in accepts the public name's own pages.

    It takes its own address from the same base URL as the cookie; 403 means that nobody can sign in. A
    wrong password shows it without a login: 401 comes only after the origin was accepted.
    """
    verify(
        origin.trusted(),
        expected="HTTP 401, for a wrong password",
        seen=origin.summary,
        source=origin.source,
    )


@pytest.mark.item("pages.berths")
def test_berth_list_shows_berths(pages: Pages) -> None:
    """Signed in, the berth list shows at least one berth.

    An empty list means that the data was not migrated, an error page that a query fails.
    """
    berths = known(pages.berths)
    verify(
        berths.renders(),
        expected="HTTP 200 and at least one berth",
        seen=berths.summary,
        source=berths.page.source,
    )


@pytest.mark.item("pages.deal")
def test_deal_renders(pages: Pages) -> None:
    """Signed in, a deal renders.

    It joins more tables than the list, so a schema that is older than the image shows here first.
    """
    deal = known(pages.deal)
    verify(
        deal.renders(),
        expected="HTTP 200 and the deal",
        seen=deal.summary,
        source=deal.page.source,
    )
