"""One mistake for each rule of the estimators for scikit-learn: the file, the rule, the mistake."""

MUTANTS = {
    "sklearn/mlp.py": [
        ("return np.square(d).mean(axis=-1) / 2, d", "return np.square(d).sum(axis=-1) / 2, d"),
        ("return 1 - y_true / np.maximum(y", "return y_true / np.maximum(y"),
        ("est._scale_penalty(len(x) if weight is None", "est._scale_penalty(len(x) if True"),
        ("self.alpha / 2 / float(total)", "self.alpha / float(total)"),
        ("(est.t_ + 1) ** est.power_t", "est.t_**est.power_t"),
        ("loss <= est.best_loss_ - est.tol", "loss <= est.best_loss_"),
        ("score >= est.best_validation_score_ + est.tol", "score > est.best_validation_score_"),
        ("learning_rate = rate / 5", "learning_rate = rate / 2"),
        ('factor = 2.0 if self.activation == "logistic"', "factor = 2.0 if False"),
        (
            "self.order = shuffled(self.order, random",
            "self.order = shuffled(np.sort(self.order), random",
        ),
        ("if array is not variable.value:", "if False:"),
        ("self.model_.set_weights(watcher.best)", "pass"),
        ("weight * by_class", "by_class"),
        (
            "MeanSquaredError(reduction=_MEAN), self.n_outputs_ / 2)",
            "MeanSquaredError(reduction=_MEAN), 0.5)",
        ),
    ],
    "wrappers.py": [
        ("**(self.fit_kwargs or {}), **kwargs}", "**kwargs, **(self.fit_kwargs or {})}"),
        ("return y[:, 1:] if model", "return y[:, :1] if model"),
        ("p[:, 1] - p[:, 0]", "p[:, 0] - p[:, 1]"),
    ],
}
