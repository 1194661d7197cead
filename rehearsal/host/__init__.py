"""What the rehearsal's server answers as `docker` and `systemctl`."""
