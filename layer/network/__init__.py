"""HTTP to the hub: this machine's network settings, bounded transfers, and why one was refused."""
