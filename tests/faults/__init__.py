"""The fault suite: the real program against kills, full disks, failing calls, damaged files and hostile text.

`scripts/faults` runs it. Every row states what it expects as numbers and measures them from outside: with a ledger of what
was acknowledged (`ledger`) and with readers that share no code with the program (`tests/reader.py`).
"""
