"""Databases that fall: a campaign of faults against servers that are started for it. `python -m campaign`."""
