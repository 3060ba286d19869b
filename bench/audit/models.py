"""Out-of-fold probabilities, and how training went, of models that everybody has."""

import warnings

import numpy as np
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression

FOLDS = 5
EPOCHS = 30
HIDDEN = 128
PENALTIES = [0.01, 0.1, 1.0, 10.0]


def folds(given, seed):
    """Fold of each sample, stratified by given label."""
    random = np.random.default_rng([seed, 77])
    order = random.permutation(len(given))
    order = order[np.argsort(given[order], kind="stable")]
    fold = np.empty(len(given), int)
    fold[order] = np.arange(len(given)) % FOLDS
    return fold


def components(x, count):
    """Standardised principal components, made without any label."""
    count = min(count, x.shape[1], len(x) - 1)
    z = PCA(count, random_state=0, svd_solver="randomized" if count < 200 else "auto").fit_transform(x)
    return (z / z[:, 0].std()).astype(np.float32)


def out_of_fold(model, x, given, num_classes, seed):
    """Probabilities [N, K]; for `mlp` also margins [N] and wrong events [N] of training."""
    fold = folds(given, seed)
    out = {"models": fold}
    if model == "mlp":
        out |= by_mlp(x, given, fold, num_classes, seed)
    else:
        # The strength of the penalty that explains held-out given labels best, as anybody would.
        tried = [by_logistic(x, given, fold, num_classes, c) for c in PENALTIES]
        loss = [-np.log(np.maximum(p[np.arange(len(p)), given], 1e-9)).mean() for p in tried]
        out["probabilities"] = tried[int(np.argmin(loss))]
    p = out["probabilities"]
    p /= p.sum(1, keepdims=True)
    return out


def by_logistic(x, given, fold, num_classes, c):
    """Out-of-fold probabilities of logistic regression."""
    p = np.zeros((len(given), num_classes), np.float32)
    for k in range(FOLDS):
        train, held = fold != k, np.flatnonzero(fold == k)
        fitted = LogisticRegression(C=c, max_iter=200)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            fitted.fit(x[train], given[train])
        p[np.ix_(held, fitted.classes_)] = fitted.predict_proba(x[held])
    return p


def by_mlp(x, given, fold, num_classes, seed):
    """Out-of-fold probabilities; of training the mean over the folds in which a sample was trained on."""
    n = len(given)
    p = np.zeros((n, num_classes), np.float32)
    margins, events = np.zeros(n, np.float32), np.zeros(n, np.float32)
    for k in range(FOLDS):
        train, held = np.flatnonzero(fold != k), np.flatnonzero(fold == k)
        p[held], m, e = mlp(x[train], given[train], x[held], num_classes, [seed, k])
        margins[train] += m / (FOLDS - 1)
        events[train] += e / (FOLDS - 1)
    return {"probabilities": p, "margins": margins, "events": events}


def softmax(scores):
    scores = np.exp(scores - scores.max(1, keepdims=True))
    return scores / scores.sum(1, keepdims=True)


def mlp(x, given, held, num_classes, seed):
    """One hidden layer, SGD with momentum, cosine steps, cross entropy, decay 1e-3."""
    random = np.random.default_rng(seed)
    scale = x.std() + 1e-6
    x, held = x / scale, held / scale
    sizes = [x.shape[1], HIDDEN, num_classes]
    w = [random.normal(0, np.sqrt(2 / a), (a, b)).astype(np.float32) for a, b in zip(sizes, sizes[1:])]
    w[1] *= 0.1
    w += [np.zeros(b, np.float32) for b in sizes[1:]]
    velocity = [np.zeros_like(a) for a in w]
    rows = np.arange(len(x))
    onehot = np.eye(num_classes, dtype=np.float32)[given]
    margins, events = np.zeros(len(x)), np.zeros(len(x))

    def forward(x):
        h = np.maximum(x @ w[0] + w[2], 0)
        return h, softmax(h @ w[1] + w[3])

    batch = 64
    steps = EPOCHS * -(-len(x) // batch)
    step = 0
    for _ in range(EPOCHS):
        order = random.permutation(len(x))
        for start in range(0, len(x), batch):
            i = order[start : start + batch]
            h, p = forward(x[i])
            d = (p - onehot[i]) / len(i)
            dh = (d @ w[1].T) * (h > 0)
            gradients = [x[i].T @ dh, h.T @ d, dh.sum(0), d.sum(0)]
            rate = 0.02 * 0.5 * (1 + np.cos(np.pi * step / steps))
            step += 1
            for a, v, g in zip(w, velocity, gradients):
                v *= 0.9
                v += g + 1e-3 * a
                a -= np.float32(rate) * v
        _, p = forward(x)
        own = p[rows, given]
        p[rows, given] = -1
        other = p.max(1)
        margins += (own - other) / EPOCHS
        events += (own < other) / EPOCHS
    return forward(held)[1], margins, events
