"""What stands behind data.py: image files in, arrays of views out. One subject a file, in the order of an image's way:

    common.py     errors that a user can set right; random draws
    arrays.py     sources that are arrays: Fashion-MNIST, CIFAR-10, .npz files
    download.py   fetching CIFAR-10
    sources.py    sources that are image files: folders, ImageNet's archives, Kaggle's and Tiny-ImageNet's layouts
    decode.py     the bytes of one file → a square of pixels (§ 2)
    prepare.py    a source → shards, once, for all runs to come (§ 2)
    shards.py     reading and checking what was prepared
    images.py     many images as if they were one array: prepared shards, or files decoded as they are used
    views.py      mean, colour noise, crops, mirrors, the ten views (§ 4.1)
    prefetch.py   batches made while the net computes (§ 4.1)
    pictures.py   contact sheets, and the augmentations to look at
"""
