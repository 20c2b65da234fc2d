"""One mistake in each rule by which files are read and written: the file, the rule, the mistake."""

MUTANTS = {
    "layers/layer.py": [
        ("key=lambda variable: not variable.trainable", "key=lambda variable: variable.trainable"),
    ],
    "saving/legacy/configs.py": [
        (
            'if "alpha" in config:\n        config["negative_slope"]',
            'if "alpha" in config:\n        config["threshold"]',
        ),
        ('config.pop("theta", 1.0)', 'config.pop("theta", 1.0) + 1'),
        ("found = found or {", "found = {"),
        ("= max(found)", "= min(found)"),
        ("[None, *shape[1:]]", "[None, *shape[:-1]]"),
        ('inner["batch_shape"] = shape', 'inner["batch_shape"] = shape[::-1]'),
        ('if "float16" in value or value == "half":', 'if value == "half":'),
        ("if not layers and shape is not None", "if shape is not None"),
        ("with weights_from_file(0):", "if True:"),
        ('inner.get("trainable") is not False', 'inner.get("trainable") is False'),
    ],
    "models/functional.py": [
        ("at + (of.name == name and _is_functional(of))", "at"),
        ("at -= _is_functional(layers[name]) and at > 0", "pass"),
        ("before.add((call.name, call.at - 1))", "pass"),
        ("if index >= len(outputs):", "if index > len(outputs):"),
        ("    if left:\n", "    if False:\n"),
        ('        name = f"{name}_input"', "        break"),
    ],
    "saving/legacy/graphs.py": [
        ("place[1] -= first[place[0]]", "pass"),
        ("            place[1] += 1", "            pass"),
        ('return value[2] if value[0] == "_CONSTANT_VALUE" else', "return"),
    ],
    "saving/weight_layouts.py": [
        (
            "stored.sort(key=lambda pair: int(pair[0][1] or 0))",
            "stored.sort(key=lambda pair: pair[1])",
        ),
        (
            'return sorted(self.children["vars"].node.datasets(), key=natural)',
            'return sorted(self.children["vars"].node.datasets())',
        ),
        ('name.split("\\\\")', 'name.split("|")'),
        ("id(variable) not in known)", "False)"),
        ("if len(filled) == len(holding):", "if False:"),
        ("stored = [one for one in _stored(node) if one[2]]", "stored = _stored(node)"),
        ("            skipped.append(str(error))", "            pass"),
        ("if _takes_itself(model):", "if False:"),
        ("            name = public  # Keras", "            pass  # Keras"),
        ("in _CONTAINERS or id(value) in seen:", "in _CONTAINERS:"),
    ],
    "saving/compile_config.py": [
        ("[*bare[:1], *rate, *bare[1:]]", "[*bare, *rate]"),
        ("yield True, bare[:first] +", "yield False, bare[:first] +"),
        ("bare.insert(0, np.array(0))", "bare.insert(0, np.array(1))"),
        ("bare = bare[: len(fresh) - len(rate)]", "bare = bare[: len(fresh)]"),
        ("sorted(range(count), key=weights.__getitem__)", "range(count)"),
        ("1 - 0.96**near / 2", "1 - 0.96**near"),
        ("min(steps, 1_000)", "steps"),
        ("steps //= optimizer.gradient_accumulation_steps or 1", "pass"),
        ("bare.insert(1, _nadam_product(", "bare.insert(2, _nadam_product("),
        ("    model.unread = dict(notes.unread)", "    model.unread = {}"),
        ('    own = overridden(type(model), "compile")', "    own = False"),
        ("        return dict(model.unread)\n    given", "        return {}\n    given"),
    ],
    "saving/legacy/training.py": [
        ("with weights_from_file(0):", "if True:"),
        ("thresholds > _MOST_THRESHOLDS", "thresholds > 1e9"),
        ("InverseTimeDecay(rate, 1, decay)", "InverseTimeDecay(rate, 2, decay)"),
        ('or name.lower() == "nadam"', ""),
        ('config.setdefault("learning_rate", config.pop("lr"))', 'config.pop("lr")'),
        ('in ("auto", "none", None)', 'in ("auto", None)'),
    ],
    "saving/writing.py": [
        ("parts = max(1, -(-data.nbytes // _ATTRIBUTE_LIMIT))", "parts = 1"),
        ("if part not in skip:", "if part in skip:"),
        ("    _check_loadable(model)\n", ""),
        ("        random.set_states(drawn)", "        pass"),
        ("if model.compiled or model.unread:", "if model.compiled:"),
        ("    layer.save_own_variables(store)", "    Layer.save_own_variables(layer, store)"),
    ],
    "utils/atomic_write.py": [
        ("os.fsync(file.fileno())", "pass"),
        ("os.unlink(temporary)", "pass"),
        ("if not overwrite and os.path.exists(name):", "if False:"),
        ("        os.makedirs(folder, exist_ok=True)\n", ""),
    ],
    "saving/reading.py": [
        (
            "stored = [] if model.optimizer is None else _state(root)[1]\n"
            "    assign(found, skip_mismatch)",
            "assign(found, skip_mismatch)\n"
            "    stored = [] if model.optimizer is None else _state(root)[1]",
        ),
        ('with naming_file("the configuration"), Cus', "with Cus"),
    ],
    "saving/load_report.py": [
        ("self.skipped[_shortened(what, _LONGEST)]", "self.skipped[what]"),
        ("kind(_shortened(text, _MOST_TEXT + 1_000))", "kind(text)"),
    ],
    "saving/formats/keras_archive.py": [
        ("_MAX_METADATA = 1 << 16", "_MAX_METADATA = 1 << 23"),
        ("if len(text) > most:", "if False:"),
        ("if large or (start + size != end and", "if large or (False and"),
    ],
    "saving/formats/hdf5/files.py": [
        ('parts = path.count("/") + path.count("\\\\")', 'parts = path.count("/")'),
    ],
    "serialization/registry.py": [
        ("name[:100].lower()", "name.lower()"),
        ("{name!r:.200}", "{name!r}"),
        ("for parameter in kinds[1:]:", "for parameter in kinds:"),
    ],
    "models/cloning.py": [("    if model.compiled:\n        with", "    if False:\n        with")],
    "training/compiled_loss.py": [("if argument in self.model.unread:", "if False:")],
    "serialization/objects.py": [
        ("scope is not self.custom_objects", "scope != self.custom_objects"),
        ("        known[name] = thing\n", "        pass\n"),
        ("    if is_foreign(config):", "    if False:"),
        ('given not in (None, "", config', "given not in (None, config"),
        ("        except ConfigError:  #", "        except ZeroDivisionError:  #"),
        ('if key.endswith(f">{name}"):', "if key == name:"),
        ("if dtype not in _NUMBERS:", "if dtype is None:"),
        ("AttributeError, RecursionError)", "AttributeError)"),
    ],
    "backend/variables.py": [
        ("_left_in_file.set(left - count)", "_left_in_file.set(left)"),
        ("if count > left:", "if count > 2 * left:"),
    ],
}
