"""Label sets of the comparison: sources, noises, and which of them are set aside (see README.md)."""

import csv
import gzip

import numpy as np

CIFAR = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
MODELS = {
    "digits": ["logistic", "mlp", "weak"],
    "features": ["logistic", "mlp", "weak"],
    "pixels": ["logistic", "mlp"],
    "hundred": ["logistic", "mlp"],
    "fashion": ["logistic", "mlp"],
}
# Added after the look at the set-aside half, so that the rules as they then were meet something unseen.
FRESH_SOURCES = ["fashion"]
CHOOSING_NOISES = ["clean", "sym10", "sym20", "sym40", "pair10", "pair30", "imb10", "imb50"]
ASIDE_NOISES = ["asym40", "inst30", "worse", "random1", "few"]
CHOOSING_SOURCES = ["digits", "features"]
IMPOSSIBLE = {
    "digits": ["worse", "random1"],
    "hundred": ["worse", "random1", "imb50", "few"],
    "fashion": ["worse", "random1"],
}
ASYMMETRIC_CIFAR = {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
ASYMMETRIC_FASHION = {0: 6, 2: 4, 5: 7, 6: 0, 9: 7}
ASYMMETRIC_DIGITS = {7: 1, 2: 7, 5: 6, 6: 5, 3: 8}


def names(part):
    """Names `source/noise` of the sets of `part`: choosing, aside or fresh."""
    found = []
    for source in MODELS:
        for noise in CHOOSING_NOISES + ASIDE_NOISES:
            chooses = source in CHOOSING_SOURCES and noise in CHOOSING_NOISES
            of = "fresh" if source in FRESH_SOURCES else "choosing" if chooses else "aside"
            if noise not in IMPOSSIBLE.get(source, []) and of == part:
                found.append(f"{source}/{noise}")
    return found


class Sources:
    """Inputs and true labels by source, from a folder that `prepare.py` filled and the digits file."""

    def __init__(self, folder, digits, human):
        self.folder, self.digits, self.human = folder, digits, human
        self.kept = {}

    def load(self, source):
        """Inputs [N, D] and true labels [N]."""
        if source in self.kept:
            return self.kept[source]
        if source == "fashion":
            x = idx(self.folder / "train-images-idx3-ubyte.gz", 16).reshape(-1, 784)
            y = idx(self.folder / "train-labels-idx1-ubyte.gz", 8).astype(int)
            x, y = x[:5000].astype(np.float32) / 255, y[:5000]
        elif source == "digits":
            rows = np.loadtxt(self.digits, delimiter=",")
            x, y = rows[:, :64] / 16, rows[:, 64].astype(int)
        else:
            y = np.load(self.folder / "true.npy")
            name = "pixels" if source == "pixels" else "features"
            x = np.load(self.folder / f"{name}.npy").reshape(len(y), -1).astype(np.float32)
            x = x / 255 if source == "pixels" else x
            if source == "hundred":
                y = in_ten_parts(x, y)
        self.kept[source] = (x, y)
        return x, y

    def people(self, column):
        """Labels of CIFAR-10N in the order of the images."""
        with open(self.human) as file:
            by_path = {row["path"]: CIFAR.index(row[column]) for row in csv.DictReader(file)}
        names = (self.folder / "names.txt").read_text().splitlines()
        return np.array([by_path[name] for name in names])


def idx(path, skipped):
    """Bytes of an IDX file behind its header."""
    return np.frombuffer(gzip.open(path).read(), np.uint8, offset=skipped)


def in_ten_parts(x, y):
    """Every class cut into 10 by k-means."""
    from sklearn.cluster import KMeans
    from sklearn.decomposition import PCA

    x = PCA(64, random_state=0).fit_transform(x)
    parts = np.zeros(len(y), int)
    for k in range(10):
        here = y == k
        parts[here] = 10 * k + KMeans(10, n_init=2, random_state=0).fit_predict(x[here])
    return parts


def make(sources, name, seed):
    """Positions of the images used, their true and their given labels."""
    source, noise = name.split("/")
    x, true = sources.load(source)
    random = np.random.default_rng([seed, *name.encode()])
    num_classes = int(true.max()) + 1
    used = np.arange(len(true))
    if noise in ("imb10", "imb50", "few"):
        counts = np.bincount(true)
        factor = {"imb10": 10, "imb50": 50}.get(noise)
        order = random.permutation(num_classes)
        kept = []
        for place, k in enumerate(order):
            count = 30
            if factor:
                count = max(3, round(counts.min() * factor ** (-place / (num_classes - 1))))
            kept.append(random.permutation(np.flatnonzero(true == k))[:count])
        used = np.sort(np.concatenate(kept))
    true = true[used]
    given = true.copy()
    if noise in ("worse", "random1"):
        return used, true, sources.people(noise)[used]
    if noise == "inst30":
        return used, true, instance_dependent(x[used], true, num_classes, random)
    rate = {"clean": 0, "sym10": 0.1, "sym20": 0.2, "sym40": 0.4, "pair10": 0.1, "pair30": 0.3,
            "imb10": 0.1, "imb50": 0.1, "asym40": 0.4, "few": 0.2}[noise]  # fmt: skip
    flipped = random.random(len(true)) < rate
    if noise.startswith("pair"):
        other = (true + 1) % num_classes
    elif noise == "asym40":
        if source == "hundred":
            other = true // 10 * 10 + (true % 10 + 1) % 10
        else:
            of = {"digits": ASYMMETRIC_DIGITS, "fashion": ASYMMETRIC_FASHION}
            to = of.get(source, ASYMMETRIC_CIFAR)
            other = np.array([to.get(k, k) for k in range(num_classes)])[true]
    else:
        other = (true + random.integers(1, num_classes, len(true))) % num_classes
    given[flipped] = other[flipped]
    return used, true, given


def instance_dependent(x, true, num_classes, random):
    """Xia et al. 2020, "part-dependent": a rate per sample, and a class by a random projection."""
    from scipy.stats import truncnorm

    x = (x - x.mean(0)) / (x.std(0) + 1e-6)
    x = x / np.linalg.norm(x, axis=1, keepdims=True) * np.sqrt(50)
    rates = truncnorm((0 - 0.3) / 0.1, (1 - 0.3) / 0.1, loc=0.3, scale=0.1)
    rates = rates.rvs(len(true), random_state=np.random.RandomState(random.integers(2**31)))
    given = true.copy()
    projections = random.normal(0, 1, (num_classes, x.shape[1], num_classes))
    for i, k in enumerate(true):
        scores = x[i] @ projections[k]
        scores[k] = -np.inf
        odds = np.exp(scores - scores.max())
        if random.random() < rates[i]:
            given[i] = random.choice(num_classes, p=odds / odds.sum())
    return given
