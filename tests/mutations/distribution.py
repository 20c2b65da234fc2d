"""One mistake for each rule of training on several processes: the file, the rule, the mistake."""

MUTANTS = {
    "distribution/processes.py": [
        ("count * rank // self.size", "-(-count // self.size) * rank"),
        ("self.weight = own / rows", "self.weight = 1 / group.size"),
        ("start + max(1, own)", "start + own"),
    ],
    "distribution/data_parallel.py": [
        ('"PMI_SIZE", "OMPI_COMM_WORLD_SIZE"', '"PMI_SIZE"'),
        ("        _warned = True\n", ""),
        ("if auto_shard_dataset is not True:", "if False:"),
    ],
}
