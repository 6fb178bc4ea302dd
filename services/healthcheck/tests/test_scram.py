"""The login of RFC 7677's example, and servers that do not know the password."""

from __future__ import annotations

import pytest
from vigie_healthcheck.probes import scram
from vigie_healthcheck.probes.scram import Refused, Scram

CHALLENGE = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096"
PROOF = b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
SIGNED = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="


@pytest.fixture
def login(monkeypatch: pytest.MonkeyPatch) -> Scram:
    monkeypatch.setattr(scram.secrets, "token_urlsafe", lambda _: "rOprNGfwEbeRWgbNEkqO")
    return Scram("sha256", "user", "pencil")


async def test_the_example_of_the_rfc(login: Scram) -> None:
    assert login.first() == b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO"
    assert await login.final(CHALLENGE) == PROOF
    login.verify(SIGNED)


@pytest.mark.parametrize(
    "challenge",
    [
        b"", b"\xff", b"r=other,s=W22ZaJ0=,i=4096", CHALLENGE.replace(b"i=4096", b"i=0"),
        CHALLENGE.replace(b"4096", b"100001"), CHALLENGE.replace(b"4096", b"x"), CHALLENGE.replace(b"==", b"="),
        b"e=other-error",
    ],
)  # fmt: skip
async def test_challenges_that_are_none_are_refused(login: Scram, challenge: bytes) -> None:
    with pytest.raises(Refused):
        await login.final(challenge)


@pytest.mark.parametrize("signed", [b"", b"v=", b"v=x", b"e=invalid-proof", SIGNED.replace(b"6", b"7")])
async def test_a_server_that_does_not_know_the_password_is_refused(login: Scram, signed: bytes) -> None:
    await login.final(CHALLENGE)
    with pytest.raises(Refused):
        login.verify(signed)


def test_a_name_with_commas_is_quoted() -> None:
    assert Scram("sha256", "a=b,c", "p").first().startswith(b"n,,n=a=3Db=2Cc,r=")
