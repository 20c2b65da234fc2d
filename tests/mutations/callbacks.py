"""One mistake for each rule of the callbacks and utilities: the file, the rule, the mistake."""

MUTANTS = {
    "callbacks/monitor.py": [
        ("operator.gt if self._more_is_better(", "operator.lt if self._more_is_better("),
        ("        if math.isnan(value):", "        if False:"),
        ("if complete and not own", "if not own"),
        ("        if self._found_op:", "        if True:"),
        ("if np.size(value) == 1 else", "if np.ndim(value) == 0 else"),
        ("self.monitor_op(0.0, 1.0)", "self.monitor_op is operator.lt"),
        ('return direction == "up"', 'return direction != "up"'),
        ('self.monitor.removeprefix("val_")', "self.monitor"),
        ("else -self.min_delta", "else self.min_delta"),
        ("value + margin, reference", "value - margin, reference"),
        ("            self._told.append(message)\n", ""),
    ],
    "callbacks/early_stopping.py": [
        ("elif self.wait >= self.patience", "elif self.wait > self.patience"),
        ("epoch < self.start_from_epoch", "epoch <= self.start_from_epoch"),
        ("self._is_improvement(value, self.baseline)", "True"),
        ("self.best_weights = self.model.get_weights()", "pass"),
    ],
    "callbacks/reduce_lr_on_plateau.py": [
        ("self.wait >= self.patience", "self.wait > self.patience"),
        ("max(rate * self.factor, self.min_lr)", "rate * self.factor"),
        ("rate > self.min_lr", "rate >= self.min_lr"),
        ("self.cooldown_counter -= 1", "self.cooldown_counter -= 2"),
        ("self.cooldown_counter = self.cooldown", "self.cooldown_counter = 0"),
    ],
    "callbacks/saving_callback.py": [
        ("            self._batches = 0\n", ""),
        (
            "self._batches += batch - (self._last_batch if batch > self._last_batch else -1)",
            "self._batches += 1",
        ),
        ("return SavingCallback.on_train_batch_end if", "return None if"),
        ("        super().on_train_batch_end(batch, logs)\n", ""),
    ],
    "callbacks/model_checkpoint.py": [
        ('{"epoch": epoch + 1})', '{"epoch": epoch})'),
        ('"batch": batch + 1}', '"batch": batch}'),
        ("self._epoch if run is None else run.epoch", "self._epoch"),
        ('if by_epochs or not name.startswith("val_")', "if True"),
        ("self.best = best_now", "pass"),
        ("if self.save_weights_only:", "if not self.save_weights_only:"),
    ],
    "callbacks/swap_ema_weights.py": [
        ("if not self._aside:", "if True:"),
        ("np.copyto(weight.value, value)", "pass"),
        ("weight, weight.numpy()", "weight, weight.value"),
        ("        self._aside = []  # discard those", "        # those of a run"),
    ],
    "callbacks/callback_list.py": [
        ('for hook in (name, name.replace("on_train_batch", "on_batch")):', "for hook in (name,):"),
        ("            return function\n", "            return None\n"),
        ("            self._find_hooks()\n\n", "            pass\n\n"),
        ('[f"val_{name}" for name in names]', "[]"),
        ("*kinds.values(), *writers", "*kinds.values()"),
    ],
    "callbacks/history.py": [
        ("value = value.copy()", "pass"),
        ("        self.epoch = []\n\n", "        pass\n\n"),
    ],
    "callbacks/csv_logger.py": [
        ("            self._end = 0\n", "            pass\n"),
        ("if end == 0:", "if True:"),
        ("self.keys = sorted(logs)", "self.keys = list(logs)"),
    ],
    "callbacks/tensorboard.py": [
        ("self._before + self._last_batch + 1, -1", "self._before, -1"),
        ("self._before + batch + 1, values", "batch + 1, values"),
        ("(done - began[0]) / max", "done / max"),
        ('(b"" if end else self._head(folder))', 'b""'),
        ("crc >> 15 | crc << 17", "crc >> 17 | crc << 15"),
        ("0x82F63B78 * (crc & 1)", "0xEDB88320 * (crc & 1)"),
    ],
    "callbacks/learning_rate_scheduler.py": [
        ("        return 1\n", "        return 2\n"),
        ("(epoch, optimizer.learning_rate)", "(epoch + 1, optimizer.learning_rate)"),
    ],
    "data/data_utils.py": [
        ("int(labels.max()) + 1", "int(labels.max()) + 2"),
        ("order, axis=axis, keepdims=True", "2, axis=axis, keepdims=True"),
        ("order[total - right :]", "order[:right]"),
        ('length - len(kept) if padding == "pre" else 0', "0"),
        ('row[-length:] if truncating == "pre"', 'row[:length] if truncating == "pre"'),
    ],
}
