"""One mistake for each thing that a traced step tells: the file, the text, the mistake."""

MUTANTS = {
    "tracing/lines.py": [
        ("shape[::-1] if", "shape if"),
        ("self._derivatives()[-self.outputs :]", "self._derivatives()[: self.outputs]"),
    ],
    "tracing/page.py": [
        ("<h2>{escape(trace.title)}", "<h2>{trace.title}"),
        ("{escape(title)} <small>", "{title} <small>"),
    ],
    "tracing/step.py": [
        ("twin = copy.deepcopy(model)", "twin = model"),
        ("random.set_states(states)", "pass"),
        ("self.optimizer.update()", "pass"),
        ("objective.constrain()", "pass"),
        ("self.objective.regularize()", "pass"),
        ("objective.weight_penalty() + self.executor.penalty()", "objective.weight_penalty()"),
        ("return self.replaced.get(slot, array)", "return array"),
        ("article, new, new - old)", "article, new, old - new)"),
        ("in slopes if s not in indices}", "in slopes}"),
        ('xs += ["mask"] * masks', "pass"),
        ("or self.gradients.keys().isdisjoint(call.outputs)", "or call.outputs[0] in self.joined"),
    ],
}
