"""Sessions of browsers: the refresh token is in a cookie, and ends with it. Over real MongoDB and Redis."""

from __future__ import annotations

import pytest

from .conftest import PASSWORD, Office

pytestmark = pytest.mark.connected

PATH = "/auth/session"
LOGIN = {"username": "admin", "password": PASSWORD}


def cookie_of(answer: object) -> str:
    return answer.headers["set-cookie"]  # type: ignore[attr-defined]


async def test_a_browser_session_lives_from_login_to_logout(office: Office) -> None:
    assert (await office.http.get(PATH)).json()["session"] is False
    made = await office.http.post(PATH, json=LOGIN)
    assert made.status_code == 200
    assert set(made.json()) == {"accessToken", "expiresIn", "name"}
    assert "vr_" not in made.text, "no script may read the refresh token"
    first = cookie_of(made)
    assert first.startswith("vigie_session=vr_")
    assert {"HttpOnly", "SameSite=Strict"} <= set(first.split("; "))
    assert "Path" not in first, "it is sent to where it came from, whatever prefix that has"
    assert (await office.http.get(PATH)).json()["session"] is True

    renewed = await office.http.put(PATH)
    assert renewed.status_code == 200
    assert cookie_of(renewed) != first
    who = {"authorization": f"Bearer {renewed.json()['accessToken']}"}
    assert (await office.call("GET", "/auth/me", who))["name"] == "admin"

    ended = await office.http.delete(PATH)
    assert ended.status_code == 204
    assert "Max-Age=0" in cookie_of(ended)
    office.clock.advance(5)
    await office.call("GET", "/auth/me", who, 401)
    assert (await office.http.put(PATH)).status_code == 409


async def test_logout_ends_the_session_also_with_a_cookie_that_is_used_up(office: Office) -> None:
    made = await office.http.post(PATH, json=LOGIN)
    old = cookie_of(made).partition(";")[0]
    renewed = await office.http.put(PATH)
    office.http.cookies.clear()
    assert (await office.http.delete(PATH, headers={"cookie": old})).status_code == 204
    office.clock.advance(5)
    await office.call("GET", "/auth/me", {"authorization": f"Bearer {renewed.json()['accessToken']}"}, 401)


async def test_a_cookie_that_comes_twice_ends_the_session_and_is_dropped(office: Office) -> None:
    made = await office.http.post(PATH, json=LOGIN)
    old = cookie_of(made).partition(";")[0]
    renewed = cookie_of(await office.http.put(PATH)).partition(";")[0]
    office.http.cookies.clear()
    assert (await office.http.put(PATH)).status_code == 409
    for token in (old, renewed, "vigie_session=made-up"):
        answer = await office.http.put(PATH, headers={"cookie": token})
        assert answer.status_code == 401
        assert answer.json()["type"] == "/problems/unauthenticated"
        assert "Max-Age=0" in cookie_of(answer)


async def test_nothing_is_ended_by_a_cookie_that_is_not_ours(office: Office) -> None:
    for token in ("vigie_session=made-up", "vigie_session=vr_" + "0" * 34 + "_0_" + "A" * 43, "other=1"):
        assert (await office.http.delete(PATH, headers={"cookie": token})).status_code == 204


@pytest.mark.parametrize(("origin", "secure"), [("https://vigie.example", True), ("http://localhost:3000", False)])
async def test_cookie_is_for_tls_alone_where_the_browser_has_tls(office: Office, origin: str, secure: bool) -> None:
    made = await office.http.post(PATH, json=LOGIN, headers={"origin": origin})
    assert made.status_code == 200
    assert cookie_of(made).endswith("; Secure") is secure


async def test_a_wrong_password_gives_no_cookie(office: Office) -> None:
    answer = await office.http.post(PATH, json={**LOGIN, "password": "wrong horse battery"})
    assert answer.status_code == 401
    assert "set-cookie" not in answer.headers


async def test_a_page_is_told_what_callers_without_a_credential_may(office: Office) -> None:
    told = (await office.http.get(PATH)).json()["anonymous"]
    assert (told["kind"], told["role"]) == ("anonymous", None)
