"""systemd, by D-Bus: no program is called, and no text reaches a shell."""
