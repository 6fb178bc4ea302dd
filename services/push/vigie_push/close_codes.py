"""The codes with which live connections are closed, as `vigie_web` has them."""

from vigie_web.close_codes import CloseCode, Closing

__all__ = ["CloseCode", "Closing"]
