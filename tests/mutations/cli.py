"""One mistake for each thing that the command line tells of a file."""

MUTANTS = {
    "cli.py": [
        ("_FINE, _RESERVATIONS, _REFUSED = 0, 1, 3", "_FINE, _RESERVATIONS, _REFUSED = 0, 1, 1"),
        ("    return _RESERVATIONS if reservations else _FINE", "    return _FINE"),
        ("np.isfinite(array)", "~np.isnan(array)"),
        ("        elif is_foreign(one):", "        elif False:"),
        ('one["class_name"] == "__lambda__":', "False:"),
        ("if os.path.exists(target) and not overwrite:", "if False:"),
        ("c if c.isprintable() else", "c if c >= ' ' else"),
        ("        config = [*config.values()]\n", '        config = config["config"]\n'),
        ("        yield from _arrays(node.group(key))\n", "        pass\n"),
    ],
}
