module Main (main) where

import Ones (elements)

main :: IO ()
main = elements >>= print
