"""Writes detection.json beside this file, with scikit-learn 1.2.

    python3 tests/golden/make_detection.py && deno fmt tests/golden/detection.json
"""

import json
import os

import numpy as np
import sklearn
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

here = os.path.dirname(os.path.abspath(__file__))
random = np.random.default_rng(20220723)


def separation(name, inside, outside):
    """Figures of scores that are higher for more in-domain; in-domain is the positive class."""
    truth = np.r_[np.ones(len(inside)), np.zeros(len(outside))]
    scores = np.r_[inside, outside]
    fpr, tpr, thresholds = roc_curve(truth, scores, drop_intermediate=False)
    at = int(np.argmax(tpr >= 0.95))
    return {
        "name": name,
        "inDomain": list(map(float, inside)),
        "outDomain": list(map(float, outside)),
        "auroc": roc_auc_score(truth, scores),
        "auprIn": average_precision_score(truth, scores),
        "auprOut": average_precision_score(1 - truth, -scores),
        "fprAt95Tpr": fpr[at],
        "threshold": thresholds[at],
    }


def calibration(name, confidence, correct, bins):
    """Guo et al.'s error from scikit-learn's curve, whose bins are closed on the right."""
    right, confident = calibration_curve(correct, confidence, n_bins=bins, strategy="uniform")
    places = np.searchsorted(np.linspace(0, 1, bins + 1)[1:-1], confidence)
    counts = np.bincount(places, minlength=bins)
    shares = counts[counts > 0] / len(confidence)
    return {
        "name": name,
        "bins": bins,
        "confidence": list(map(float, confidence)),
        "correct": list(map(int, correct)),
        "counts": list(map(int, counts)),
        "accuracies": list(map(float, right)),
        "confidences": list(map(float, confident)),
        "ece": float(np.sum(shares * np.abs(right - confident))),
    }


def normal(mean, count, digits=None):
    values = random.normal(mean, 1, count)
    return values if digits is None else np.round(values, digits)


confidence = np.round(random.uniform(0.11, 0.999, 300), 6)
document = {
    "by": f"scikit-learn {sklearn.__version__}, numpy {np.__version__}",
    "separation": [
        separation("apart", normal(2, 60, 6), normal(0, 90, 6)),
        separation("ties", normal(1, 80, 1), normal(0, 50, 1)),
        separation("many ties", normal(0.5, 120, 0), normal(0, 40, 0)),
        separation("all tied", np.zeros(7), np.zeros(5)),
        separation("reversed", normal(-1, 40, 3), normal(1, 30, 3)),
        separation("one each", [0.25], [0.75]),
        separation("saturated", np.r_[np.ones(50), normal(0, 10, 2)], np.r_[np.ones(20), normal(-1, 30, 2)]),
    ],
    "calibration": [
        calibration("sure", np.round(1 - random.exponential(0.02, 200), 6), random.uniform(size=200) < 0.9, 15),
        calibration("wide", confidence, random.uniform(size=300) < confidence**2, 15),
        calibration("ten bins", confidence, random.uniform(size=300) < confidence, 10),
    ],
}
with open(os.path.join(here, "detection.json"), "w") as file:
    json.dump(document, file)
    file.write("\n")
