"""Settings of channels and of sending."""

from __future__ import annotations

from datetime import timedelta
from typing import Final, Literal

from pydantic import Field, SecretStr, field_validator
from vigie_runtime.addresses import Networks, networks
from vigie_runtime.settings import ExternalSettings
from vigie_storage.settings import SealingSettings

SmtpTls = Literal["auto", "starttls", "tls", "none"]

HOSTED: Final = (
    "discord,flock,gchat,groupme,guilded,ilert,incidentio,line,msgbird,opsgenie,pagerduty,pagertree,pbul,pover,prowl,"
    "pushy,sendgrid,signl4,sinch,spike,splunk,squadcast,telnyx,tgram,threema,twilio,twist,victorops,vonage,webex,"
    "wxteams,zulip"
)
"""Schemes of Apprise whose server is that of a public service, whatever else the URL says."""


class ChannelSettings(SealingSettings, ExternalSettings):
    """Of a service that sends notifications."""

    alerts_ttl: int = Field(
        default=90 * 86_400,
        ge=86_400,
        le=10 * 365 * 86_400,
        validation_alias="ALERTS_TTL",
        description="seconds for which the transitions of alerts are kept",
    )
    alert_retry_hours: float = Field(
        default=24.0,
        gt=0,
        le=24 * 7,
        description="hours for which a notification is tried while its channel is away; then it is a dead letter",
    )
    alert_networks: str = Field(
        default="",
        description="private networks that webhooks of tenants may call, CIDRs, comma-separated; "
        "all but public addresses are refused otherwise",
    )
    alert_apprise_schemes: str = Field(
        default=HOSTED,
        pattern=r"^[a-z0-9+]*(,[a-z0-9+]+)*$",
        description="kinds of Apprise URLs that channels may have, comma-separated. One whose URL names its server "
        "lets tenants call any address that this machine reaches",
    )

    slack_webhook_url: SecretStr | None = Field(
        default=None,
        validation_alias="SLACK_WEBHOOK_URL",
        description="Slack's incoming webhook of channels that name none",
    )
    email_smtp_host: str = Field(
        default="", validation_alias="EMAIL_SMTP_HOST", description="mail server; unset: no mail is sent"
    )
    email_smtp_port: int = Field(
        default=587, ge=1, le=65_535, validation_alias="EMAIL_SMTP_PORT", description="its port"
    )
    email_username: str = Field(default="", validation_alias="EMAIL_USERNAME", description="login at the mail server")
    email_password: SecretStr | None = Field(
        default=None, validation_alias="EMAIL_PASSWORD", description="password of the login at the mail server"
    )
    email_from: str = Field(
        default="", validation_alias="EMAIL_FROM", description="sender of the mails; the login when unset"
    )
    email_to: str = Field(
        default="", validation_alias="EMAIL_TO", description="recipients of mail channels that name none"
    )
    email_smtp_tls: SmtpTls = Field(
        default="auto",
        validation_alias="EMAIL_SMTP_TLS",
        description="encryption: from the first byte (tls), after asking for it (starttls), never (none); "
        "auto: tls on port 465, else starttls",
    )

    @property
    def retry_for(self) -> timedelta:
        return timedelta(hours=self.alert_retry_hours)

    @property
    def callable_networks(self) -> Networks:
        return networks(self.alert_networks)

    @property
    def apprise_schemes(self) -> frozenset[str]:
        return frozenset(filter(None, self.alert_apprise_schemes.split(",")))

    @property
    def mail_sender(self) -> str:
        return self.email_from or self.email_username

    @field_validator("alert_networks")
    @classmethod
    def _readable_networks(cls, text: str) -> str:
        networks(text)
        return text
