"""Writes reference values of every loss, head and regulariser, in float64 by PyTorch autograd.

Usage: make_reference.py SEED OUT.json (values.json has seed 20). Needs PyTorch.

A new loss is one `add` with its name in experiment files, `_` for `-`, and its parameters.
"""
import json, math, sys
import torch, torch.nn.functional as F
torch.set_default_dtype(torch.float64)
seed, out = int(sys.argv[1]), sys.argv[2]
torch.manual_seed(seed)
B, D, K = 6, 5, 4
z = torch.randn(B, D); C = torch.randn(K, D) * .7; logits = torch.randn(B, K) * 1.5
y = torch.randint(0, K, (B,)); T = torch.softmax(torch.randn(K, K) + 3 * torch.eye(K), 1)
cases = []
def add(name, source, fn, inputs, params):
    leaves = {k: v.clone().requires_grad_(True) for k, v in inputs.items()}
    val = fn(**leaves); val.backward()
    cases.append(dict(name=name, source=source, params=params,
        inputs={k: v.tolist() for k, v in inputs.items()}, value=val.item(),
        gradients={k: v.grad.tolist() for k, v in leaves.items()}))
oh = F.one_hot(y, K).double()
ce = lambda l: F.cross_entropy(l, y)
def rce(l, A): 
    p = F.softmax(l, 1); return (-(p * torch.where(oh > 0, torch.zeros(()), torch.tensor(A))).sum(1)).mean()
L = dict(logits=logits)
add('ce', 'paper eq. 1', lambda logits: ce(logits), L, {})
for A in (-4., math.log(1e-4)):
    add('rce', 'paper eq. 8; log 0 := A', lambda logits, A=A: rce(logits, A), L, dict(log_zero=A))
    add('sce', 'paper eq. 9', lambda logits, A=A: .1 * ce(logits) + rce(logits, A), L, dict(alpha=.1, beta=1., log_zero=A))
py = lambda l: F.softmax(l, 1).gather(1, y[:, None]).squeeze(1)
add('mae', 'Ghosh et al. 2017: sum_k |p_k - q_k|', lambda logits: (2 - 2 * py(logits)).mean(), L, {})
for q in (.7, .3): add('gce', 'Zhang & Sabuncu 2018', lambda logits, q=q: ((1 - py(logits) ** q) / q).mean(), L, dict(q=q))
def tgce(l, q=.7, k=.5):
    p = py(l); return torch.where(p > k, (1 - p ** q) / q, torch.full_like(p, (1 - k ** q) / q)).mean()
add('gce_truncated', 'Zhang & Sabuncu 2018, eq. 11 without weights: constant (1 - k^q)/q where p_y <= k', lambda logits: tgce(logits), L, dict(q=.7, k=.5))
tm = torch.softmax(torch.randn(B, K) * 2, 1)
def elr(l, lam=3.):
    p = F.softmax(l, 1).clamp(1e-4, 1 - 1e-4); return F.cross_entropy(l, y) + lam * (1 - (tm * p).sum(1)).log().mean()
add('elr', 'Liu et al. 2020: CE + lam mean log(1 - <t, p>); t is the memory after its update, a constant', lambda logits: elr(logits), L, dict(lam=3., memory=tm.tolist()))
def bsoft(l, b): 
    p = F.softmax(l, 1); t = b * oh + (1 - b) * p; return -(t * F.log_softmax(l, 1)).sum(1).mean()
def bhard(l, b):
    h = F.one_hot(l.argmax(1), K).double(); t = b * oh + (1 - b) * h; return -(t * F.log_softmax(l, 1)).sum(1).mean()
add('bootstrap_soft', 'Reed et al. 2014; the target keeps its gradient', lambda logits: bsoft(logits, .95), L, dict(beta=.95))
add('bootstrap_hard', 'Reed et al. 2014; the target is a constant', lambda logits: bhard(logits, .8), L, dict(beta=.8))
add('forward', 'Patrini et al. 2017: -log (T^T p)_y, T[i][j] = P(noisy j | true i)', lambda logits: -(F.softmax(logits, 1) @ T).gather(1, y[:, None]).log().mean(), L, dict(transition=T.tolist()))
add('backward', 'Patrini et al. 2017, theorem 1: (T^-1 l)_y with l_j = -log p_j', lambda logits: (torch.linalg.inv(T) @ -F.log_softmax(logits, 1).T).T.gather(1, y[:, None]).mean(), L, dict(transition=T.tolist()))
for tau in (2., 10.):
    def ph(logits, tau=tau):
        p = py(logits); return torch.where(p > 1 / tau, -p.log(), -tau * p + math.log(tau) + 1).mean()
    add('phuber_ce', 'Menon et al. 2019', ph, L, dict(tau=tau))
add('label_smoothing', 'Szegedy et al. 2015', lambda logits: F.cross_entropy(logits, y, label_smoothing=.1), L, dict(epsilon=.1))
lam = .3; perm = torch.arange(B - 1, -1, -1)
add('mixup_target', 'Zhang et al. 2017: lam CE(y) + (1-lam) CE(y[perm])', lambda logits: lam * F.cross_entropy(logits, y) + (1 - lam) * F.cross_entropy(logits, y[perm]), L, dict(lam=lam, perm=perm.tolist()))
def nce(l): 
    lp = F.log_softmax(l, 1); return (lp.gather(1, y[:, None]).squeeze(1) / lp.sum(1)).mean()
add('nce', 'Ma et al. 2020, normalised CE', lambda logits: nce(logits), L, {})
add('nce_rce', 'Ma et al. 2020, active passive loss', lambda logits: 1. * nce(logits) + 1. * rce(logits, -4.), L, dict(alpha=1., beta=1., log_zero=-4.))
# heads
def dist_logits(z, C, s): return -((z[:, None] - C[None]) ** 2).sum(2) / s ** 2
ZC = dict(features=z, centers=C)
for s in (1., .5):
    add('distance_head_ce', 'paper eq. 6, 7 then 1', lambda features, centers, s=s: F.cross_entropy(dist_logits(features, centers, s), y), ZC, dict(sigma=s))
    add('distance_head_l2_ce', 'paper eq. 6 on unit-norm features', lambda features, centers, s=s: F.cross_entropy(dist_logits(F.normalize(features, dim=1), centers, s), y), ZC, dict(sigma=s))
def cosf(features, centers, s=8., m=.2):
    c = F.normalize(features, dim=1) @ F.normalize(centers, dim=1).T; return F.cross_entropy(s * (c - m * oh), y)
def arcf(features, centers, s=8., m=.3):
    c = (F.normalize(features, dim=1) @ F.normalize(centers, dim=1).T).clamp(-1 + 1e-12, 1 - 1e-12); th = c.acos()
    return F.cross_entropy(s * torch.where(oh > 0, (th + m).cos(), c), y)
add('large_margin_cosine', 'CosFace 2018', cosf, ZC, dict(scale=8., margin=.2))
add('additive_angular_margin', 'ArcFace 2019, cos(theta + m) without the easy-margin branch', arcf, ZC, dict(scale=8., margin=.3))
# potential energy
def E(r, u, v, xi): return r ** -u - xi * r ** -v
def pem(centers, u, v, xi, beta, red, origin):
    A = torch.cat([torch.zeros(1, D), centers]) if origin else centers
    e = E(F.pdist(A) + beta, u, v, xi); return e.sum() if red == 'sum' else e.mean()
Cc = dict(centers=C)
for u, v, xi, beta, red, origin in [(3, 2, 2., .3, 'sum', True), (3, 2, 2., .3, 'mean', True), (3, 2, 1., 0., 'mean', False), (4, 2, 1.5, .1, 'sum', True), (12, 6, 2., .5, 'sum', False)]:
    add('potential_energy', 'paper eq. 10-12; c_0 = 0 when origin', lambda centers, a=(u, v, xi, beta, red, origin): pem(centers, *a), Cc, dict(u=u, v=v, xi=xi, beta=beta, reduction=red, origin=origin, r0=(u / (xi * v)) ** (1 / (u - v))))
add('center_margin', 'paper eq. 14 over all pairs of centers and the origin', lambda centers: (1.5 - F.pdist(torch.cat([torch.zeros(1, D), centers]))).clamp_min(0).sum(), Cc, dict(r0=1.5, origin=True, reduction='sum'))
Ca = dict(centers=torch.cat([C * .1, C[:1] * .1 + .02]))
def authors(centers):
    e = lambda r: (r ** -3. - r ** -2.).clamp(-1.5, 1000); return 2 * (e(centers.norm(dim=1)).mean() + e(F.pdist(centers)).mean())
add('potential_energy_authors', 'authors\' script: xi 1, beta 0, each pair clamped to [-1.5, 1000] (no gradient where clamped), mean over origin pairs + mean over the others, times 2', authors, Ca, dict(u=3, v=2, xi=1., beta=0., lam=2., clamp=[-1.5, 1000.], classes=K + 1))
add('potential_energy_authors', 'the same on spread centers', authors, Cc, dict(u=3, v=2, xi=1., beta=0., lam=2., clamp=[-1.5, 1000.]))
def rec(features, centers): return F.mse_loss(features, F.softmax(dist_logits(features, centers, 1.), 1) @ centers)
add('reconstruction', 'mean over batch and dimensions of (z - sum_k p_k c_k)^2, p by eq. 7', rec, ZC, dict(sigma=1.))
def full(features, centers):
    l = dist_logits(features, centers, 1.); return .1 * ce(l) + rce(l, -4.) + 1. * pem(centers, 3, 2, 2., .3, 'sum', True)
add('pemm_paper', 'paper eq. 13, mean over the batch', full, ZC, dict(sigma=1., alpha=.1, log_zero=-4., u=3, v=2, xi=2., beta=.3, lam=1., reduction='sum', origin=True))
json.dump(dict(about='float64 reference values; every gradient is d value / d input; labels are class indices; losses are means over the batch', seed=seed, labels=y.tolist(), classes=K, cases=cases), open(out, 'w'), indent=1)
print(len(cases), 'cases')
