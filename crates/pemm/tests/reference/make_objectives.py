"""Writes reference values of the objectives that are no mere loss, in float64 by PyTorch autograd.

Usage: make_objectives.py OUT.json. Needs PyTorch and scikit-learn. Written from the papers and the
authors' public code, beside the Rust code and not after it.

A case has `inputs`, `params`, `value` and `gradients` as in values.json; `labels` are common.
"""
import json, sys
import numpy as np
import torch, torch.nn.functional as F
from sklearn.mixture import GaussianMixture

torch.set_default_dtype(torch.float64)
torch.manual_seed(17)
B, K = 8, 4
y = torch.randint(0, K, (B,))
own, peer = torch.randn(B, K) * 1.5, torch.randn(B, K) * 1.5
cases = []


def add(name, source, fn, inputs, params):
    leaves = {k: v.clone().requires_grad_(True) for k, v in inputs.items()}
    value = fn(**leaves)
    value.backward()
    cases.append(dict(
        name=name, source=source, params=params,
        inputs={k: v.tolist() for k, v in inputs.items()}, value=value.item(),
        gradients={k: v.grad.tolist() for k, v in leaves.items()}))


def each(logits):
    return F.cross_entropy(logits, y, reduction="none")


# Co-teaching: each network's mean over the samples that the other finds easiest.
def co_teaching(own, peer, kept):
    a, b = each(own), each(peer)
    easy_own, easy_peer = torch.argsort(a.detach())[:kept], torch.argsort(b.detach())[:kept]
    return a[easy_peer].mean() + b[easy_own].mean()


add("co_teaching", "Han et al. 2018, algorithm 1, lines 4 to 8; R = 5/8",
    lambda own, peer: co_teaching(own, peer, 5), dict(own=own, peer=peer), dict(share=5 / 8))

# What the authors' code leaves out in epoch 0, 1, ... of its training: it fills the ramp from its
# entry 0 on and begins to train at entry 1.
num_gradual, forget = 10, 0.2
schedule = np.ones(20) * forget
schedule[:num_gradual] = np.linspace(0, forget, num_gradual)
ramp = schedule[1:14].tolist()


# Decoupling: the sum over the samples that both predict differently, over a tenth of the batch at least.
def decoupling(own, peer, least_share):
    differ = (own.argmax(1) != peer.argmax(1)).double()
    below = max(differ.sum().item(), least_share * len(y))
    return (each(own) * differ).sum() / below + (each(peer) * differ).sum() / below


agreeing = own + 0.1 * torch.randn(B, K)
agreeing[:2] = own[:2].roll(1, 1)
for least_share in (0.0, 0.1, 0.75):
    add("decoupling", "Malach and Shalev-Shwartz 2017, algorithm 1; their train.py, `loss`, without class weights",
        lambda own, peer: decoupling(own, peer, least_share), dict(own=own, peer=agreeing),
        dict(least_share=least_share, differing=int((own.argmax(1) != agreeing.argmax(1)).sum())))


# Re-weighting: the posterior of the lower of two normals, fitted until nothing moves, as weights.
def mixture_posterior(x):
    spread = x.var(unbiased=False)
    quartiles = x.sort().values[[len(x) // 4, 3 * len(x) // 4]]
    mean, var, weight = quartiles.clone(), spread.repeat(2), torch.tensor([.5, .5])
    for _ in range(20000):
        log = weight.log() - .5 * ((x[:, None] - mean) ** 2 / var + (2 * torch.pi * var).log())
        share = log.softmax(1)
        weight = share.mean(0)
        mean = (share * x[:, None]).sum(0) / share.sum(0)
        var = ((share * (x[:, None] - mean) ** 2).sum(0) / share.sum(0)).clamp_min(1e-3 * spread)
    low = mean.argmin()
    at = x.clamp(mean.min(), mean.max())  # never more than a smaller value's
    log = weight.log() - .5 * ((at[:, None] - mean) ** 2 / var + (2 * torch.pi * var).log())
    return log.softmax(1)[:, low]


doubts = torch.cat([torch.rand(25) * .6, 1.8 + torch.rand(15) * 2.])[torch.randperm(40)].float().double()
posterior = mixture_posterior(doubts)
weights = posterior / posterior.mean()
add("reweighting", "paper, section 4.4; the mixture of Arazo et al. 2019 with normals",
    lambda logits: (weights[:B] * each(logits)).mean(), dict(logits=own),
    dict(doubts=doubts.tolist(), weights=weights.tolist()))

# DivideMix: posterior of the lower of two normals over losses scaled to 0-1, as its code calls for.
losses = torch.cat([torch.rand(60) ** 2 * 1.2, 1.5 + torch.randn(30).abs() * 1.2])[torch.randperm(90)].float().double()
scaled = (losses - losses.min()) / (losses.max() - losses.min())
gmm = GaussianMixture(n_components=2, max_iter=10, tol=1e-2, reg_covar=5e-4, random_state=0)
gmm.fit(scaled.numpy().reshape(-1, 1))
clean = gmm.predict_proba(scaled.numpy().reshape(-1, 1))[:, gmm.means_.argmin()]

trust = torch.tensor([.95, .1, .8, .5, .3, .99, .51, 0.])
guess_own, guess_peer = torch.randn(B, K).softmax(1), torch.randn(B, K).softmax(1)
threshold, T, share, lambda_u = .5, .5, .8, 3.
perm = torch.randperm(B)


def sharpen(q):
    q = q ** (1 / T)
    return q / q.sum(1, keepdim=True)


def divide_mix(logits):
    labeled = trust > threshold
    refined = sharpen(trust[:, None] * F.one_hot(y, K) + (1 - trust[:, None]) * guess_own)
    guessed = sharpen((guess_own + guess_peer) / 2)
    targets = torch.where(labeled[:, None], refined, guessed)
    mixed = share * targets + (1 - share) * targets[perm]
    x, u = logits[labeled], logits[~labeled]
    lx = -torch.mean(torch.sum(F.log_softmax(x, dim=1) * mixed[labeled], dim=1))
    lu = torch.mean((torch.softmax(u, dim=1) - mixed[~labeled]) ** 2)
    prior = torch.ones(K) / K
    penalty = torch.sum(prior * torch.log(prior / torch.softmax(logits, dim=1).mean(0)))
    return lx + lambda_u * lu + penalty


add("divide_mix", "Li et al. 2020, algorithm 1; their Train_cifar.py, `train` and `SemiLoss`, for one view",
    divide_mix, dict(logits=peer),
    dict(trust=trust.tolist(), guess_own=guess_own.tolist(), guess_peer=guess_peer.tolist(),
         threshold=threshold, temperature=T, share=share, perm=perm.tolist(), weight=lambda_u))

# Gold loss correction: C by the mean prediction on the trusted samples of a class, then cross entropy
# on them and forward correction elsewhere, summed and divided by the batch.
trusted = torch.tensor([True, False, True, False, False, True, False, True])
C = torch.eye(K)
for k in range(K):
    of_class = trusted & (y == k)
    if of_class.any():
        C[k] = own.softmax(1)[of_class].mean(0)


def gold(logits):
    p = logits.softmax(1)
    silver = -((p[~trusted] * C.T[y[~trusted]]).sum(1)).log().sum()
    return (silver + F.cross_entropy(logits[trusted], y[trusted], reduction="sum")) / B


add("gold", "Hendrycks et al. 2018, algorithm 1; their train_gold.py, `get_C_hat_transpose` and `train_phase2`",
    gold, dict(logits=peer), dict(trusted=trusted.tolist(), before=own.tolist(), matrix=C.tolist()))


# MentorNet: self-paced weights under the percentile of the batch alone, and both curricula over a training.
def self_paced(logits):
    losses = each(logits)
    bound = np.percentile(losses.detach().numpy(), 75, method="nearest")
    return (losses * (losses.detach() <= bound)).mean()


add("mentor_net", "Jiang et al. 2018; their models.py, `vstar_self_paced`", self_paced, dict(logits=own), dict())
random, bound, steps = np.random.default_rng(17), np.float32(0), []
for at in [0, 5, 17, 18, 19, 20, 40, 60, 80, 89, 90, 91, 95, 99]:
    losses_now = (random.exponential(1, 12) * (1.5 if at < 50 else 1.)).astype(np.float32)
    bound = np.float32(.5) * bound + np.float32(.5) * np.percentile(losses_now, 75, method="nearest")
    easy = (losses_now - bound <= 0).astype(float)
    gradual = np.maximum(np.minimum(-1. / 1 * (losses_now - bound) + 1, 1), 0)
    predefined = np.ones(12) if at <= 18 else gradual if at >= 90 else easy
    steps.append(dict(at=at, losses=losses_now.tolist(), bound=float(bound), self_paced=easy.tolist(),
                      predefined=np.asarray(predefined, float).tolist()))

# Distillation: targets of the given label and of what the teacher said at a temperature.
soft, label_weight = (peer / 2).softmax(1), .3


def distill(logits):
    target = torch.where(trusted[:, None], F.one_hot(y, K).double(),
                         label_weight * F.one_hot(y, K) + (1 - label_weight) * soft)
    return F.cross_entropy(logits, target)


add("distill", "Li et al. 2017, section 3, with a softmax", distill, dict(logits=own),
    dict(trusted=trusted.tolist(), teacher=peer.tolist(), temperature=2., label_weight=label_weight))

# Iterative detection: its contrastive term.
features = torch.randn(B, 5) * .35
first, second, alike = [0, 0, 1, 2, 3, 4, 6, 7], [1, 2, 5, 3, 7, 4, 0, 5], [1, 0, 0, 1, 0, 1, 0, 0]


def contrast(features):
    d = (features[first] - features[second]).square().sum(1).clamp_min(1e-7).sqrt()
    is_alike = torch.tensor(alike).double()
    return (is_alike * d ** 2 + (1 - is_alike) * (1 - d).clamp_min(0) ** 2).mean()


distances = (features[first] - features[second]).norm(dim=1)[torch.tensor(alike) == 0]
assert (distances < 1).any() and (distances > 1).any()
add("contrast", "Wang et al. 2018; their train_model_openset.py, `contrastive_loss`", contrast,
    dict(features=features), dict(first=first, second=second, alike=alike))

# DivideMix: what its warm-up adds for asymmetric noise.
add("confidence_penalty", "Li et al. 2020; their Train_cifar.py, `NegEntropy`",
    lambda logits: torch.mean(torch.sum(logits.softmax(1).log() * logits.softmax(1), dim=1)), dict(logits=own), dict())

# The graphical model: the marginal over classes and types, whose gradient is that of the posterior's step.
confusing = torch.rand(K, K).fill_diagonal_(0)
confusing[0, 1] = 0
confusing /= confusing.sum(1, keepdim=True)
of_type = torch.stack([torch.eye(K), (1 - torch.eye(K)) / (K - 1), confusing])  # [Z, K, K]


def joint(classes, types):  # [B, Z, K]
    return types.softmax(1)[:, :, None] * classes.softmax(1)[:, None] * of_type[:, :, y].permute(2, 0, 1)


def graphical(classes, types):
    return -joint(classes, types).sum((1, 2)).log().mean()


types = torch.randn(B, 3)
add("graphical", "Xiao et al. 2015; the E step of their softmax_noisy_label_loss_layer.cpp", graphical,
    dict(classes=own, types=types), dict(matrix=confusing.tolist()))
c, t = own.clone().requires_grad_(True), types.clone().requires_grad_(True)
posterior = (joint(c, t) / joint(c, t).sum((1, 2), keepdim=True)).detach()
step = -(posterior.sum(1) * c.log_softmax(1)).sum(1).mean() - (posterior.sum(2) * t.log_softmax(1)).sum(1).mean()
for found, expected in zip(torch.autograd.grad(step, (c, t)), cases[-1]["gradients"].values()):
    assert torch.allclose(found, torch.tensor(expected), atol=1e-12)


# Which wrong labels are confusing: their estimate_matrix_c.py.
def compute_matrix_c(clean, noisy, n):
    cm = np.zeros((n, n))
    np.add.at(cm, (clean, noisy), 1)
    cm -= np.diag(np.diag(cm))
    cm = (cm / cm.sum(axis=1, keepdims=True)).T
    matrix_c = np.zeros((n, n))
    for j in range(n):
        f = sorted(zip(cm[:, j], range(n)), reverse=True)
        best_lik, best_i = -np.inf, -1
        for i in range(n + 1):
            kept = np.array([f[k][0] for k in range(i)] + [0.] * (n - i))
            kept = kept / kept.sum() if kept.sum() > 0 else kept
            lik = sum(f[k][0] * np.log(kept[k]) if f[k][0] > 0 else 0 for k in range(i)) \
                + sum(f[k][0] * np.log(1 / (n - 1)) for k in range(i, n))
            if lik >= best_lik:
                best_lik, best_i = lik, i
            if i < n and f[i][0] == 0:
                break
        for k in range(best_i):
            matrix_c[f[k][1], j] = f[k][0]
    return matrix_c / matrix_c.sum(axis=0)


clean_labels = random.integers(0, 5, 400)
q = np.array([[.6, .3, .02, .05, .03], [.1, .6, .1, .1, .1], [.0, .0, .7, .3, .0], [.05, .2, .1, .6, .05], [.3, .04, .03, .03, .6]])
noisy_labels = np.array([random.choice(5, p=q[label]) for label in clean_labels])
matrix_c = compute_matrix_c(clean_labels, noisy_labels, 5)
noise_types = [0 if i == j else 1 if matrix_c[j, i] < .25 else 2 for i, j in zip(clean_labels, noisy_labels)]

# The conditional random field: as the paper has it, in a, b and W, and as p(y) p(label | y), in s, b and W.
given = torch.where(trusted, y, torch.zeros(B, dtype=torch.long))  # what is right, where trusted
called = torch.randint(0, K, (B,))
pairs, aux, alpha = torch.randn(K, K), torch.rand(K, K) + .1, 1.5
aux /= aux.sum(1, keepdim=True)  # aux[label, class]


def field(s, b, w):  # log p(class, label | x), [B, class, label]
    return s.log_softmax(1)[:, :, None] + (b[:, None] + w).log_softmax(2)


a = own - (peer[:, None] + pairs).logsumexp(2)
log_joint = a[:, :, None] + peer[:, None] + pairs
log_joint = log_joint - log_joint.flatten(1).logsumexp(1)[:, None, None]
assert torch.allclose(field(own, peer, pairs), log_joint, atol=1e-12)


def of_label(log):  # [B, class] at each sample's label
    return log[torch.arange(B), :, called]


def crf(first, second, w, alpha):
    joint = of_label(field(first, second, w))
    posterior = joint.detach().softmax(1)
    q = (posterior * aux[called] ** alpha) ** (1 / (1 + alpha))
    q = q / q.sum(1, keepdim=True)
    known = -joint[torch.arange(B), given][trusted].mean()
    return known - (q * joint).sum(1)[~trusted].mean()


# With alpha 0 the gradient is that of the likelihood of the labels.
leaves = [v.clone().requires_grad_(True) for v in (own, peer, pairs)]
joint_now = of_label(field(*leaves))
exact = -joint_now[torch.arange(B), given][trusted].mean() - joint_now.logsumexp(1)[~trusted].mean()
for found, expected in zip(torch.autograd.grad(crf(*leaves, 0.), leaves), torch.autograd.grad(exact, leaves)):
    assert torch.allclose(found, expected, atol=1e-12)
w = pairs.clone().requires_grad_(True)
crf(own, peer, w, alpha).backward()
add("crf", "Vahdat 2017, for one label, without hidden units", lambda first, second: crf(first, second, pairs, alpha),
    dict(first=own, second=peer),
    dict(trusted=trusted.tolist(), given=given.tolist(), called=called.tolist(), pairs=pairs.tolist(),
         log_aux=aux.log().tolist(), alpha=alpha, gradient_of_pairs=w.grad.tolist()))

# MentorNet: its small network, and the gradient of its cross entropy.
seen = torch.cat([torch.rand(12, 1) * 3, torch.randn(12, 1), torch.randint(0, 3, (12, 1)), torch.rand(12, 1)], 1)
seen, right = seen.float().double(), torch.arange(12) % 3 > 0
sizes = [12, 3 * 2, 20 * 6, 21]
values = (torch.randn(sum(sizes)) * .7).requires_grad_(True)
gates, labels, first, second = values.split(sizes)
u = torch.cat([seen[:, :2], torch.ones(12, 1)], 1)
sums = (u @ gates.view(2, 2, 3).flatten(0, 1).T).view(12, 2, 2)
states = sums[:, :, 0].sigmoid() * sums[:, :, 1].tanh()
lstm = torch.nn.LSTMCell(2, 2)  # two cells of one unit each, from 0: the other gates do not count
with torch.no_grad():
    for p in lstm.parameters():
        p.zero_()
    by_gate = gates.view(2, 2, 3).permute(1, 0, 2)
    for name, part in (("weight_ih", by_gate[..., :2]), ("bias_ih", by_gate[..., 2])):
        getattr(lstm, name)[0:2], getattr(lstm, name)[4:6] = part[0], part[1]
assert torch.allclose(lstm(seen[:, :2])[1], states)
h = torch.cat([states, labels.view(3, 2)[seen[:, 2].long()], seen[:, 3:]], 1)
hidden = (torch.cat([h, torch.ones(12, 1)], 1) @ first.view(20, 6).T).tanh()
logits = hidden @ second[:20] + second[20]
F.binary_cross_entropy_with_logits(logits, right.double()).backward()
mentor = dict(seen=seen.tolist(), right=right.tolist(), values=values.tolist(), weights=logits.sigmoid().tolist(),
              gradient=values.grad.tolist())

json.dump(dict(
    labels=y.tolist(), classes=K, cases=cases,
    confusing=dict(clean=clean_labels.tolist(), noisy=noisy_labels.tolist(), matrix=matrix_c.T.tolist(),
                   types=noise_types),
    mentor_net=dict(percentile=75., steps=steps), mentor=mentor,
    co_teaching_ramp=dict(forget_rate=forget, left_out=ramp),
    clean_posterior=dict(losses=losses.tolist(), posterior=clean.tolist(), rounds=int(gmm.n_iter_))),
    open(sys.argv[1], "w"), indent=1)
print(gmm.n_iter_, gmm.means_.ravel(), [c["name"] for c in cases], [c["params"].get("differing") for c in cases])
