"""Search over dropout and the optimizer of a scikit-learn pipeline (needs ``nnlite[sklearn]``)."""

from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from nnlite.sklearn import MLPClassifier

X, y = load_iris(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

pipeline = make_pipeline(
    StandardScaler(),
    MLPClassifier(32, learning_rate_init=0.01, tol=1e-3, max_iter=500, random_state=0),
)
grid = {
    "mlpclassifier__dropout": [0.0, 0.1, 0.3],
    "mlpclassifier__optimizer": [None, "rmsprop", "nadam"],
}
search = GridSearchCV(pipeline, grid, cv=5, n_jobs=2).fit(X_train, y_train)

for name, value in search.best_params_.items():
    print(f"{name} = {value}")
print(f"test accuracy: {search.score(X_test, y_test):.1%}")
