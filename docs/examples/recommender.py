"""A two-tower recommender: a vector for each user and each item, whose product is the liking.

    python docs/examples/recommender.py

Takes about five seconds on two cores. The ratings are made up: users and items have hidden tastes.
The mean squared error on ratings that were not learned from is 0.055, of which 0.04 is noise; the
mean rating of each item gives 0.99.
"""

import numpy as np

import nnlite
from nnlite import Input, Model
from nnlite.layers import Add, Dot, Embedding, Flatten
from nnlite.regularizers import L2

USERS, ITEMS, RATINGS, TASTES = 500, 200, 20_000, 4

nnlite.set_random_seed(1)
random = np.random.default_rng(1)
likes = random.normal(size=(USERS, TASTES))
kinds = random.normal(size=(ITEMS, TASTES)) / np.sqrt(TASTES)
user, item = random.integers(0, USERS, RATINGS), random.integers(0, ITEMS, RATINGS)
rating = (likes[user] * kinds[item]).sum(axis=1) + random.normal(scale=0.2, size=RATINGS)
known = np.arange(RATINGS) < RATINGS * 9 // 10


def tower(name, count):
    """Return the input of one tower, its vector, and how far its ratings lie above the mean."""
    number = Input((1,), dtype="int32", name=name)
    vector = Embedding(count, 8, embeddings_regularizer=L2(1e-6), name=f"{name}_vector")(number)
    above = Embedding(count, 1, embeddings_initializer="zeros", name=f"{name}_mean")(number)
    return number, Flatten()(vector), Flatten()(above)


one, user_vector, user_mean = tower("user", USERS)
other, item_vector, item_mean = tower("item", ITEMS)
model = Model([one, other], Add()([Dot(axes=1)([user_vector, item_vector]), user_mean, item_mean]))
model.compile("adam", "mse")
data = {"user": user[known, None], "item": item[known, None]}
model.fit(data, rating[known], epochs=30, batch_size=64, verbose=0)

test = {"user": user[~known, None], "item": item[~known, None]}
print(f"two towers: mean squared error {model.evaluate(test, rating[~known], verbose=0):.3f}")
means = np.array([rating[known & (item == i)].mean() for i in range(ITEMS)])
print(f"item means: mean squared error {np.mean((means[item[~known]] - rating[~known]) ** 2):.3f}")
