"""Recipes: the options of whole programs, for train.py --recipe NAME.

A recipe sets options of --model alexnet; those typed beside it override it. It leaves the data, the device and the seed
open. All details side by side: notebooks/15_disputed_details.ipynb.
"""

RECIPES = {
    # The paper's text, where it says something. Differs from the default: the initial values and the validation set.
    "paper": dict(
        holdout=0.0,                    # § 5: it validates on ImageNet's validation set
        size=256,                       # § 2; views of 224: § 4.1
        towers=2,                       # § 3.2
        activation="relu",              # § 3.1
        first_stages="conv relu norm pool",     # § 3.5
        lrn=True, lrn_alpha=1e-4, lrn_k=2.0,    # § 3.3
        pool=3,                         # § 3.4: overlapping
        dropout=0.5, inverted_dropout=False, dropout_before=False,      # § 4.2: after fc6 and fc7; × 0.5 at test time
        init="paper", bias=1.0,         # § 5: N(0, 0.01²) everywhere
        scale=1.0, mean="pixel",        # § 2: raw pixels less each pixel's mean
        augment=True, images_per_crop=1, colour=0.1, colour_factor="eigenvalue",        # § 4.1
        batch_size=128, momentum=0.9, weight_decay=0.0005, rate_inside=True, bias_rate=1.0,     # § 5
        lr=0.01, schedule="plateau", epochs=90),        # § 5: ÷ 10 when the validation error stops improving

    # The authors' program of 2012, its net #145: layers-145.cfg, layer-params-145.cfg with the log in its comments, and
    # convdata.py, as released by the Computer History Museum.
    # Differs: the program kept the biases' ε at 0.02 when it lowered that of the weights; its conv1 had a tenth of the
    # others' ε in the epochs 67 to 72; and a crop could start in 33 places each way, here in 32.
    "2012": dict(
        holdout=0.0,
        size=256,                       # img_size; views of 224, after which conv1 reads three rows and columns of zeros
        towers=2,                       # layers …a and …b
        first_stages="conv norm pool relu, conv relu norm pool",        # pool1 and conv2 have neuron=relu
        lrn=True, lrn_alpha=1e-4 / 5,   # rnorm1, rnorm2: scale 0.0001, which layer.py divides by the size
        lrn_k=2.0,                      # minDiv
        spatial_norm=True,              # cnorm2: after rnorm2, 5×5 pixels
        pool=3, pool_ties="all",        # every maximum of a window gets the gradient
        dropout=0.5, inverted_dropout=False, dropout_before=False,      # hs1, hs2: after both hidden layers
        init="2012", bias=1.0,          # initW 0.01, in conv3 to conv5 0.03; initB 1
        scale=1.0, mean="centre",       # data_mean_crop
        augment=True, images_per_crop=32,       # crop_chunk
        colour=0.1, colour_factor="deviation", colour_shrink=True,      # √λ; then all ÷ 1.1, in training alone
        colour_until=67,                # the log: colour noise 0 from here on
        batch_size=128, momentum=0.9, weight_decay=0.0005, rate_inside=True,    # mom…, wc
        bias_rate=2.0, bias_decay=0.0,  # epsB 0.02; no decay of biases
        lr=0.01, schedule="steps", drop_at=[25, 51, 79], epochs=91,     # epsW, and the log
        freeze=["conv1"], freeze_from=72),      # the log: conv1's ε is 0 from here on

    # Caffe's bvlc_alexnet: solver.prototxt and train_val.prototxt in models/bvlc_alexnet.
    # Differs: Caffe scaled images to 256×256 whatever their shape; here the central square is cut (§ 2).
    "caffe": dict(
        holdout=0.0,
        size=256, view=227,             # crop_size
        towers=1, lrn_across=True,      # group: 2 in conv2, conv4 and conv5; norm1 and norm2 have no groups
        first_stages="conv relu norm pool",
        lrn=True, lrn_alpha=1e-4 / 5,   # alpha, which Caffe divides by local_size
        lrn_k=1.0,                      # the default of caffe.proto
        pool=3, pool_ties="first",
        dropout=0.5, inverted_dropout=True, dropout_before=False,       # drop6, drop7
        init="caffe", bias=0.1,         # weight_filler: std 0.01, in fc6 and fc7 0.005; bias_filler
        scale=1.0, mean="pixel",        # mean_file, cut where the image is cut
        augment=True, images_per_crop=1, colour=0.0,    # mirror; no colour noise
        batch_size=256, momentum=0.9, weight_decay=0.0005, rate_inside=True,
        bias_rate=2.0, bias_decay=0.0,  # lr_mult 2, decay_mult 0
        lr=0.01, schedule="steps", drop_at=[20, 40, 60, 80], epochs=90)}        # stepsize 100,000 of 450,000 iterations
