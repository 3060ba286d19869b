//! The objectives that an experiment can name. Their code stands in `pemm::objective`, a file each; an
//! exhaustive match there joins the two.

use serde::{Deserialize, Serialize};

use crate::kind::kinds;
use crate::method::{Parameter, Range};

const fn warmup(default: usize, least: f64) -> Parameter {
    Parameter::count("warmup_epochs", default, Range::from(least), "epochs of plain training first")
}

const fn alpha(default: f64) -> Parameter {
    let range = Range::within(0.05, 1024.0);
    Parameter::number("alpha", default, range, "of Beta(alpha, alpha); 1 is uniform, near 0 none")
}

/// Of both forms of MentorNet.
const PERCENTILE: Parameter = Parameter::number(
    "percentile",
    75.0,
    Range::within(0.0, 100.0),
    "of a batch's losses: which share of the samples is easy",
);
const DECAY: Parameter = Parameter::number(
    "decay",
    0.5,
    Range::up_to(0.0, 1.0),
    "share of λ that a step keeps; 0 is the percentile of the step itself",
);
const EARLY_DROPOUT: Parameter = Parameter::number(
    "early_dropout",
    0.5,
    Range::up_to(0.0, 1.0),
    "random share of a batch that counts nothing at first",
);
const LATE_DROPOUT: Parameter = Parameter::number(
    "late_dropout",
    0.05,
    Range::up_to(0.0, 1.0),
    "random share of a batch that counts nothing later",
);

/// Of objectives that train two networks.
const BOTH_PREDICT: &str =
    "Predictions are the mean of both networks' probabilities; they report each network by itself.";

/// Of objectives that mix a loss of the given label with another target.
const MARGIN_OF_LABELS: &str = "The margin of cosface and arcface, which theirs do not have, is of the loss ℓ \
                                alone: what is not a sure label has none.";

kinds! {
    /// The objectives that an experiment can name.
    ObjectiveKind, "Objectives", "objective.kind":

    /// The mean loss and the terms of the centers.
    Plain = "plain" {
        summary: "mean loss and the terms of the centers",
        equation: &["mean_n w_n ℓ_n + λ V(centers) + ω reconstruction"],
        parameters: &[],
        reference: "the paper, eq. 13",
        differs: &[
            "The paper sums the losses of a batch, here, as in the authors' script, their mean is taken: \
             for the same λ the energy is N times as strong as in the paper.",
        ],
    }
    /// Straight lines between samples.
    Mixup = "mixup" {
        summary: "straight lines between pairs of samples",
        equation: &[
            "m ℓ(f(x̃), y) + (1 - m) ℓ(f(x̃), y'), x̃ = m x + (1 - m) x', m ~ Beta(alpha, alpha)",
            "(x', y') another sample of the batch; one m and one permutation a step",
        ],
        parameters: &[alpha(1.0)],
        reference: "Zhang et al. 2018, who take alpha 1 on clean CIFAR-10, and 8 and 32 with wrong labels",
        differs: &[
            "alpha: 1, the value for clean labels, since nobody knows how many are wrong. With 8 or 32 \
             images are mixed more evenly, which fits fewer wrong labels and is slower to learn.",
        ],
    }
    /// Early-learning regularisation.
    Elr = "elr" {
        summary: "early-learning regularisation: a memory of early predictions against labels",
        equation: &["mean ℓ_n + λ mean log(1 - <t_n, p_n>), t_n ← b t_n + (1 - b) p_n"],
        parameters: &[
            Parameter::number(
                "memory_rate",
                0.7,
                Range::up_to(0.0, 1.0),
                "share b of the memory that an epoch keeps",
            ),
            Parameter::number("weight", 3.0, Range::NOT_NEGATIVE, "λ of the second term"),
        ],
        reference: "Liu et al. 2020, eq. 6 and 7: b 0.7 and λ 3 for CIFAR-10 with symmetric noise, 0.9 and \
                    1 with asymmetric noise, 0.9 and 7 for CIFAR-100",
        differs: &["Their ELR+ (two networks, averaged weights, mixup) is not this."],
    }
    /// Samples weighted by how probably their label is right.
    Reweight = "reweight" {
        summary: "samples weighted by a mixture of two normals over losses or distances",
        equation: &[
            "mean w_n ℓ_n, w_n = P(lower of two normals | doubt of n in the epoch before) / its mean",
        ],
        parameters: &[
            Parameter::word("by", &["loss", "distance"], "what a label is doubted by"),
            warmup(5, 1.0),
        ],
        reference: "the paper, section 4.4; Arazo et al. 2019",
        differs: &[
            "The paper says to \"reweight the data samples according to the estimated distribution\" and \
             not how; Arazo et al. fit two Beta distributions and mix labels instead of weighting them.",
            "Doubts are those of the training steps themselves, on augmented samples.",
        ],
    }
    /// Samples chosen by MentorNet's predefined curriculum.
    MentorNet = "mentor-net" {
        summary: "samples chosen by how their loss stands to a moving percentile",
        equation: &[
            "mean v_n ℓ_n, λ ← decay λ + (1 - decay) percentile of the batch's ℓ, from λ = 0",
            "self-paced: v = 1 where ℓ ≤ λ, else 0",
            "predefined: v = 1 in the first 19 of 100 parts of the training, then self-paced, in the last",
            "10 parts v = 1 - (ℓ - λ) within 0 and 1",
            "v = 0 for a random share of each batch: early_dropout in the first 17 parts, then late_dropout",
        ],
        parameters: &[
            Parameter::word(
                "curriculum",
                &["predefined", "self-paced"],
                "how the weight follows from the loss",
            ),
            PERCENTILE,
            DECAY,
            EARLY_DROPOUT,
            LATE_DROPOUT,
        ],
        reference: "paper, (6): Jiang et al. 2018, eq. 4, and their public code: MentorNet PD with percentile \
                    75 for 20 and 40 % wrong labels and 50 for 80 %, self-paced with 70 and no dropout",
        differs: &[
            "The authors train a small network to give these weights, and freeze it; here the rule that it \
             learns is taken itself, so that a weight is not a little off where theirs is.",
            "Their MentorNet DD, whose small network learns the weights from samples of which it is known \
             whether their label is right, is mentor-net-dd.",
            "Their weight decay counts in each step as much as the mean of v; here it always counts whole, \
             more by a third once a quarter of the samples is left out.",
        ],
    }
    /// Samples weighed by a small network that trusted labels have taught.
    MentorNetDd = "mentor-net-dd" {
        summary: "samples weighed by a small network that learns from trusted labels",
        equation: &[
            "mean v_n ℓ_n; first v = 1, trusted samples with the labels that they had before",
            "then v = σ(w · tanh(W h + b) + b'), h = (two cells of ℓ and ℓ - λ, two values of the label, time),",
            "learned by cross entropy from trusted samples in the first epochs: was their label right?",
            "v = 1 where n is trusted; λ ← decay λ + (1 - decay) percentile of the batch's ℓ, from λ = 0",
            "v = 0 for a random share of each batch: early_dropout in the first epochs, then late_dropout",
        ],
        parameters: &[warmup(5, 1.0), PERCENTILE, DECAY, EARLY_DROPOUT, LATE_DROPOUT],
        reference: "paper, (6): Jiang et al. 2018, section 3.2 (MentorNet DD), and their public code: 17 of 100 \
                    parts of the training with v = 1, after which the time stands still for the small network; \
                    percentile 80, 60 and 50 for 20, 40 and 80 % wrong labels",
        differs: &[
            "They teach the small network on a run of its own, on another part of the data or on other data; \
             here the first epochs of the same run teach it, and trusted samples then get their right labels.",
            "Its training has a tenth of their 30,000 steps, on what a few hundred trusted samples show. λ moves \
             there too; theirs is then one percentile, the 90th, of all losses that they teach with.",
            "b' is added to the sum, theirs to each of its weights w.",
            "Their code gives every sample the label 0 and looks at the time by five random values; here \
             each class has its two values, and the time is one number.",
            "Their weight decay counts in each step as much as the mean of v; here it always counts whole.",
        ],
    }
    /// Samples with improbable labels left out, chosen anew once in some epochs.
    Prune = "prune" {
        summary: "samples whose label is improbable are left out, chosen anew once in some epochs",
        equation: &[
            "mean v_n ℓ_n; every prune_every epochs v_n = 1 where p_y > truncation, else 0; at first 1",
        ],
        parameters: &[
            warmup(10, 1.0),
            Parameter::count(
                "prune_every",
                10,
                Range::from(1.0),
                "epochs from one choice to the next",
            ),
            Parameter::number(
                "truncation",
                0.5,
                Range::between(0.0, 1.0),
                "probability of the given label that a sample must have; → 0 leaves nothing out",
            ),
        ],
        reference: "Zhang and Sabuncu 2018, section 3.3 and algorithm 1: with gce, q 0.7 and truncation 0.5, \
                    every 10 epochs from epoch 40 of 120 on",
        differs: &[
            "warmup_epochs: 10, so that it goes with short trainings too; they begin at a third of theirs.",
            "The choice is by the network as it is, theirs by the best one by validation so far.",
            "Where it holds no label to be that probable (many classes, a short warm-up) all samples are left \
             out until the next choice, as by their algorithm, and nothing but weight decay moves it.",
            "Any loss may stand in the place of gce.",
        ],
    }
    /// Outliers found by learned features, again and again.
    Iterative = "iterative" {
        summary: "samples that lie apart from their class are found, weighed less and pushed away",
        equation: &[
            "every detect_every epochs: score of n = mean over the detections of 1 / local outlier factor,",
            "in n's given class, by the cosine of the features, neighbor_share of the class as neighbours",
            "outliers: the outlier_share of each class with the smallest scores",
            "mean w_n ℓ_n + contrast mean over pairs of d² or max(0, 1 - d)², w_n = score of an outlier, else 1",
            "pairs of an inlier: the next of its class (d²); an outlier of its class, another class (1 - d)",
        ],
        parameters: &[
            warmup(5, 1.0),
            Parameter::count(
                "detect_every",
                10,
                Range::from(1.0),
                "epochs from one detection to the next",
            ),
            Parameter::number(
                "neighbor_share",
                0.4,
                Range::above(0.0, 1.0),
                "of a class's samples that are a sample's neighbours",
            ),
            Parameter::number(
                "outlier_share",
                0.5,
                Range::up_to(0.0, 1.0),
                "of a class's samples that are taken for outliers; 0 is plain with contrast",
            ),
            Parameter::number("contrast", 0.1, Range::NOT_NEGATIVE, "weight of the pairs"),
        ],
        reference: "paper, (2): Wang et al. 2018, and their public code (github.com/YisenWang/ONL): 5 epochs, \
                    then 10 after each detection; 2,000 neighbours in classes of 5,000; the half of each class",
        differs: &[
            "Theirs trains on pairs drawn from the whole part, each sample of a pair with its loss; here \
             pairs are made within a batch of single samples. A class with few samples in a batch has few \
             pairs, and a step costs half.",
            "Here an outlier weighs its score, which is seldom far below 1, and everything else 1. In their \
             code it is always the second of a pair, whose weight is divided by 10, and others are the first \
             of three pairs: it counts less than a thirtieth of them, and is all but left out. This entry \
             is held against the code; the paper's text was not at hand.",
            "contrast: theirs is 1. d² is a sum over the features, of which there are more and larger ones \
             here: with 1 it outweighs the loss and classes fall together.",
            "The learning rate goes on by its schedule; theirs begins anew (Adam) after each detection.",
        ],
    }
    /// Trusted samples that count more.
    TrustedWeight = "trusted-weight" {
        summary: "samples whose label is known to be right count more",
        equation: &["mean w_n ℓ_n, w_n = weight where n is trusted, else 1, divided by the mean"],
        parameters: &[Parameter::number(
            "weight",
            10.0,
            Range::from(1.0),
            "of a trusted sample beside 1 of another; 1 is plain",
        )],
        reference: "none; a control for the others that use trusted labels",
        differs: &[],
    }
    /// Gold loss correction.
    Gold = "gold" {
        summary: "forward correction by a matrix that is read off trusted samples",
        equation: &[
            "first: mean ℓ_n over the samples that are not trusted",
            "C[i][j] = mean of p_j over the trusted samples of class i",
            "then: mean of ℓ_n where n is trusted, -log Σ_i p_i C[i][y] elsewhere",
        ],
        parameters: &[warmup(10, 1.0)],
        reference: "Hendrycks et al. 2018, algorithm 1, and their public code",
        differs: &[
            "warmup_epochs: the paper trains a model to the end on what is not trusted, and then a second \
             one from the start; here one model goes on. It knows the given labels less well when C is \
             read, and has begun to fit them when it is used.",
            "Their code sends the trusted and the other samples of a batch through the network apart, so that \
             BatchNorm sees each by itself; here they go together.",
            "A class without a trusted sample is taken as having no wrong labels (a row of the identity); \
             their code takes a mean of none there, which is no number.",
        ],
    }
    /// Labels that are right, random or confusing, told by a second network.
    Graphical = "graphical" {
        summary: "a second network tells right, random and confusing labels apart",
        equation: &[
            "p(ỹ|x) = Σ_z p(z|x) Σ_y p(y|x) p(ỹ|y,z), ỹ the given label, z of three types:",
            "right [ỹ = y], random [ỹ ≠ y] / (K - 1), confusing C[y][ỹ]",
            "trusted n: ℓ_n - log p(its type|x); others, after warmup_epochs: -log p(ỹ_n|x_n)",
            "C[y]: of the wrong labels of trusted samples of y the most frequent, as many as are most likely",
        ],
        parameters: &[warmup(10, 1.0)],
        reference: "paper, (8): Xiao et al. 2015, and their public code (github.com/Cysu/noisy_label)",
        differs: &[
            "The sums over classes and types are minimised as they are, theirs by expectation maximisation, \
             a step of which has the same gradient.",
            "warmup_epochs: they first train the first network to the end on trusted samples, and then the \
             second from its weights on. Here both learn for 10 epochs, each from a start of its own, in \
             batches of which the trusted samples alone count, each as much as later.",
            "A trusted sample counts as much as another, as in their script for CIFAR-10, where a fifth is \
             trusted. That for Clothing1M repeats the trusted ones until they are as many as the others, \
             and has two stages: first p(z|x) is left as it is and trusted classes weigh 0.1; then classes \
             weigh 1, types 0.1, and other samples move p(z|x) a tenth as much. With few trusted samples \
             p(z|x) may know less than the mean of each type would say.",
            "A class without a wrong label among its trusted samples has all others alike in C; their \
             script divides by 0 there.",
            MARGIN_OF_LABELS,
            "The second network is as large as the first, and three of its outputs are used. The first \
             alone predicts.",
        ],
    }
    /// A conditional random field of the right and the given label.
    Crf = "crf" {
        summary: "a conditional random field of the right and the given label, from two networks",
        equation: &[
            "p(y, ỹ|x) = exp(a_y(x) + b_ỹ(x) + W[y][ỹ]) / Z(x), ỹ the given label, y the right one",
            "mean over trusted n of -log p(y_n, ỹ_n|x_n), with ℓ_n for -log p(y_n|x_n), ỹ_n as before",
            "+ mean over the others of -Σ_y q(y) log p(y, ỹ_n|x_n)",
            "q(y) ∝ (p(y|ỹ_n, x_n) aux(y|ỹ_n)^α)^(1 / (1 + α)), aux: shares among the trusted samples",
            "α from alpha_start to alpha_end over the training; W ← W + pair_rate K (derivative by W)",
        ],
        parameters: &[
            Parameter::number(
                "alpha_start",
                40.0,
                Range::NOT_NEGATIVE,
                "α in the first step; large: what a given label means is what it means on average",
            ),
            Parameter::number(
                "alpha_end",
                5.0,
                Range::NOT_NEGATIVE,
                "α in the last step; 0: what the networks say of it",
            ),
            Parameter::number("pair_rate", 1.0, Range::NOT_NEGATIVE, "step of W; 0 keeps W as counted"),
        ],
        reference: "paper, (9): Vahdat 2017",
        differs: &[
            "Theirs is for samples with several labels at once, with hidden units between them, and draws \
             samples for what cannot be summed. With one label a hidden unit is no more than a bias of the \
             label, so there is none, and all sums are exact.",
            "The first network gives log p(y|x) instead of a: the same field, since each follows from the other \
             by b and W, and the first network alone predicts.",
            "aux is counted on the trusted samples, each count 1 / K too high, where theirs is a trained \
             Boltzmann machine, which for one label can say the same.",
            "alpha_start, alpha_end and pair_rate are ours. The steps of W have no momentum and do not fall with \
             the learning rate.",
            "Each mean is over its samples of a batch. With 5 trusted ones of 128 each of them pulls 25 times \
             as hard as another: a learning rate that suits others may be too large. The paper's text was not \
             at hand, and we have not held this entry against it.",
            MARGIN_OF_LABELS,
            "The second network is as large as the first.",
        ],
    }
    /// Distillation from trusted labels.
    Distill = "distill" {
        summary: "what a network said that knew trusted labels only is mixed into the others",
        equation: &[
            "first: mean ℓ_n over the trusted samples; then s = softmax(scores / temperature) S, kept",
            "then: mean of λ ℓ_n - (1 - λ) Σ_k s_k log p_k, λ = label_weight, and 1 where n is trusted",
        ],
        parameters: &[
            warmup(10, 1.0),
            Parameter::number(
                "label_weight",
                0.5,
                Range::SHARE,
                "λ of the given label in the target; 1 is plain, 0 passes over labels that are not trusted",
            ),
            Parameter::number(
                "temperature",
                1.0,
                Range::within(0.01, 100.0),
                "of the predictions that are learned from; larger makes the classes more alike",
            ),
            Parameter::text(
                "similarity",
                "none",
                "a file",
                "S[i][j], how much of what is said of class i is meant for class j: a CSV file of K×K with \
                 rows that sum to 1",
            ),
        ],
        reference: "paper, (10): Li et al. 2017",
        differs: &[
            "Their knowledge graph of labels in Wikipedia, by which s is spread to related classes, is \
             replaced by a matrix that you give: s S stands in the place of s. Without one nothing is spread.",
            "label_weight: 0.5 believes both alike. The paper weighs them by their risks; its text was not at \
             hand, and we have not held this entry against it.",
            "One model goes on, where theirs begins anew with the targets: it keeps what it learned from \
             the trusted samples. It learns from them for 10 epochs, in batches of which they alone count, \
             each as much as later; theirs to the end.",
            "A trusted sample has its label alone as target.",
            MARGIN_OF_LABELS,
        ],
    }
    /// Two networks that select for each other.
    CoTeaching = "co-teaching" {
        summary: "two networks, each learns from what the other finds easy",
        equation: &[
            "each takes the mean loss over the share R(e) of the batch with the other's smallest losses",
            "R(e) = 1 - forget_rate min((e + ramp_offset) / ramp_epochs, 1) in epoch e, from 0",
        ],
        parameters: &[
            Parameter::number(
                "forget_rate",
                0.2,
                Range::within(0.0, 0.95),
                "share of a batch that is left out in the end",
            ),
            Parameter::count("ramp_epochs", 10, Range::from(1.0), "epochs until it is"),
            Parameter::count(
                "ramp_offset",
                0,
                Range::NOT_NEGATIVE,
                "epochs that the ramp is ahead in the first one",
            )
            .later(),
        ],
        reference: "Han et al. 2018, algorithm 1",
        differs: &[
            "forget_rate: they set it to the true share of wrong labels, which nobody knows. 0.2 does not \
             look at it: with more wrong labels than that, some are always learned from.",
            "ramp_offset: with 0 the first epoch leaves nothing out, where theirs leaves out the first \
             step of the ramp, and the ramp ends an epoch later. The preset co-teaching has 1 and 9 \
             ramp_epochs, which is the authors' code at T_k = 10 (forget_rate/9 in the first epoch, all \
             of it from the ninth on).",
            "The number of samples that are kept is rounded up, there down.",
            "Their code divides the mean loss by the number of kept samples once more, which Adam, their \
             optimiser, does not feel; here it is the mean.",
            BOTH_PREDICT,
        ],
    }
    /// Two networks that learn where they disagree.
    Decoupling = "decoupling" {
        summary: "two networks that learn only where they disagree",
        equation: &[
            "each takes Σ ℓ_n over the samples that both predict differently, divided by",
            "max(their number, least_share · size of the batch)",
        ],
        parameters: &[
            warmup(0, 0.0),
            Parameter::number(
                "least_share",
                0.0,
                Range::SHARE,
                "of a batch by which the sum is divided at least; 0 is the mean",
            )
            .later(),
        ],
        reference: "Malach and Shalev-Shwartz 2017, algorithm 1",
        differs: &[
            "least_share: the authors' code has 0.1 (min_batch_size), and so has the preset decoupling. \
             Left out, the mean over the differing samples is taken, however few they are: with 2 of 128 \
             the step is 6.4 times as large as theirs, just when both networks agree on nearly all.",
            "Their code also weights classes by their counts in the batch (loss.class_weights is the like \
             over the whole part).",
            BOTH_PREDICT,
        ],
    }
    /// Two networks that guess the labels which they doubt.
    DivideMix = "divide-mix" {
        summary: "two networks; doubted labels are replaced by guesses, with mixup",
        equation: &[
            "each network in a pass of its own over every epoch; p its predictions, p' the other's",
            "w_n: posterior of the lower of two normals over the other network's losses, scaled to 0-1",
            "targets t: sharpen(w y + (1 - w) p) where w > threshold, else sharpen((p + p') / 2)",
            "mixup of images and targets, m ~ Beta(alpha, alpha), m ≥ 1/2",
            "-mean_labeled Σ t log p + λ_u mean_unlabeled ‖t - p‖²/K + Σ_k 1/K log((1/K) / p̄_k)",
            "λ_u = weight min((epochs since the warm-up, by the batch) / 16, 1)",
            "in the warm-up: mean ℓ_n + confidence_penalty mean Σ_k p_k log p_k",
        ],
        parameters: &[
            warmup(10, 1.0),
            Parameter::number("threshold", 0.5, Range::SHARE, "trust above which labels stay"),
            Parameter::number(
                "temperature",
                0.5,
                Range::within(0.01, 1.0),
                "of the targets; smaller is sharper",
            ),
            alpha(4.0),
            Parameter::number("weight", 25.0, Range::NOT_NEGATIVE, "of unlabeled samples"),
            Parameter::number(
                "confidence_penalty",
                0.0,
                Range::NOT_NEGATIVE,
                "weight of -(mean entropy of the predictions) in the warm-up",
            )
            .later(),
        ],
        reference: "Li et al. 2020, algorithm 1, and their public code",
        differs: &[
            "weight: they choose it by the noise, 25 on CIFAR-10 with 50 and 80 % symmetric noise, 0 with \
             20 % and with asymmetric noise, 50 with 90 %. Nobody knows the noise; 25 does not look at it.",
            "A batch is divided as it comes, where theirs has as many unlabeled samples as labeled ones in \
             each step, and an epoch as many steps as there are batches of labeled ones: with many wrong \
             labels the labeled term is a mean over fewer samples here.",
            "One augmented view of an image is guessed from and mixed, theirs has two: guesses are noisier, \
             and a step costs half.",
            "Guesses are made in evaluation mode, theirs of the trained network with the batch's own \
             statistics in BatchNorm.",
            "The mixture starts at the best two groups, theirs at a k-means from random centers.",
            "For 90 % noise they average the losses of five epochs before the fit: not done, since nobody \
             knows the rate.",
            "confidence_penalty: 0, theirs is 1 with asymmetric noise and 0 with symmetric. Without it the \
             warm-up fits asymmetric wrong labels sooner. The preset divide-mix-asymmetric has 1, and the \
             weight 0 that they take there.",
        ],
    }
}

/// How two networks predict together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Combination {
    /// By the mean of their probabilities.
    #[default]
    Probabilities,
    /// By the sum of their scores: probabilities are the softmax of their mean.
    Scores,
    /// By the first alone: the other tells of something else.
    First,
}

impl Combination {
    /// Whether it is what there was before there was a choice.
    pub fn is_of_probabilities(&self) -> bool {
        *self == Self::Probabilities
    }
}

impl ObjectiveKind {
    /// Networks that it trains, 1 or 2.
    pub fn num_networks(self) -> usize {
        match self {
            Self::Plain
            | Self::Mixup
            | Self::Elr
            | Self::Reweight
            | Self::MentorNet
            | Self::MentorNetDd
            | Self::Iterative
            | Self::Prune
            | Self::TrustedWeight
            | Self::Gold
            | Self::Distill => 1,
            Self::Graphical | Self::Crf | Self::CoTeaching | Self::Decoupling | Self::DivideMix => {
                2
            }
        }
    }

    /// How its networks predict together, where there are two.
    pub fn combination(self) -> Combination {
        match self {
            Self::DivideMix => Combination::Scores,
            Self::Graphical | Self::Crf => Combination::First,
            Self::Plain
            | Self::Mixup
            | Self::Elr
            | Self::Reweight
            | Self::MentorNet
            | Self::MentorNetDd
            | Self::Iterative
            | Self::Prune
            | Self::TrustedWeight
            | Self::Gold
            | Self::Distill
            | Self::CoTeaching
            | Self::Decoupling => Combination::Probabilities,
        }
    }

    /// Whether it needs to know which labels are known to be right; tables say so.
    pub fn uses_trusted(self) -> bool {
        match self {
            Self::MentorNetDd
            | Self::TrustedWeight
            | Self::Gold
            | Self::Graphical
            | Self::Crf
            | Self::Distill => true,
            Self::Plain
            | Self::Mixup
            | Self::Elr
            | Self::Reweight
            | Self::MentorNet
            | Self::Iterative
            | Self::Prune
            | Self::CoTeaching
            | Self::Decoupling
            | Self::DivideMix => false,
        }
    }
}
