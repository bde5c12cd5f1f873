"""The way to a receiver, as it is configured; each try is one call that ends in time."""

from typing import Protocol

from titik_collector.config.model import Config
from titik_collector.config.receiver_tables import Receiver
from titik_collector.notify.alertmanager import AlertmanagerChannel
from titik_collector.notify.apprise_call import AppriseChannel
from titik_collector.notify.composed import Composed
from titik_collector.notify.mail_folder import FolderChannel
from titik_collector.notify.mail_server import MailChannel
from titik_collector.notify.undelivered import Passed, nothing
from titik_collector.notify.webhook import WebhookChannel


class Channel(Protocol):
    """One way."""

    def deliver(self, one: Composed, passed: Passed = nothing) -> None:
        """Hand it over; Undelivered if that failed."""
        ...


def channel_of(settings: Config, receiver: Receiver) -> Channel:
    """The receiver's."""
    if receiver.type == "email":
        assert receiver.to is not None
        return MailChannel(settings.smtp, receiver.to, settings.city.title)
    if receiver.type == "folder":
        assert receiver.folder is not None
        return FolderChannel(receiver.folder, settings.city.title)
    if receiver.type == "alertmanager":
        return AlertmanagerChannel.of(receiver)
    if receiver.type == "webhook":
        return WebhookChannel.of(receiver)
    assert receiver.url_file is not None
    return AppriseChannel(receiver.url_file)
