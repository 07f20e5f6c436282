"""Publishing a pretrained mini encoder, and measuring how it has aligned the languages."""
