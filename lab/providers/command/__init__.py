"""A stand-in for the pulumi-command 1.2.1 plugin, for machines that do not have the real one.

It has `remote.Command`, which is all that the program uses, with the real plugin's inputs, diffs,
retries, messages and errors. So a program that works here works with the real plugin. Other
resources and functions are refused by name. This plugin has the real one's faults too, with these
exceptions, which make a problem easier to see:

* A host that accepts TCP and never finishes the SSH handshake hangs the real plugin forever. Here
  the operation ends at its timeout or at Ctrl-C, with an error that says so. It is never retried.
* An output line over 64 KiB hangs the real plugin forever unless `logging` is none. Here the
  command fails, and the error says so.
* A running remote command ignores timeouts and Ctrl-C, as in the real plugin. Here a warning says
  so when the operation's time is over.
* SSH connections are closed after their command. The real plugin keeps those of `remote.Command`
  open until it exits, so only there many commands on one host can reach sshd's limits.
* Private keys that are encrypted in OpenSSH's own format need the Python package bcrypt.
* The schema is empty: it serves programs whose SDK is installed, not SDK generation.
"""
