"""Writes local outlier factors by scikit-learn. Usage: make_outliers.py OUT.json"""
import json, sys
import numpy as np
from sklearn.neighbors import LocalOutlierFactor

random = np.random.default_rng(17)
cases = []
for num, size, neighbors in [(40, 5, 7), (300, 8, 120), (12, 3, 11)]:
    rows = np.abs(random.normal(size=(num, size)) + 2 * (np.arange(num)[:, None] % 2)).astype(np.float32)
    rows[::9] *= -1
    factors = LocalOutlierFactor(n_neighbors=neighbors, metric="cosine", algorithm="brute")
    factors.fit(rows.astype(np.float64))
    cases.append(dict(num_neighbors=neighbors, features=rows.astype(float).tolist(),
                      factors=(-factors.negative_outlier_factor_).tolist()))
json.dump(cases, open(sys.argv[1], "w"))
print([(min(c["factors"]), max(c["factors"])) for c in cases])
